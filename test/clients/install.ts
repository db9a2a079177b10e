/** Installs what the client tests need and is not there yet. */
import { install } from '../support/debian.ts';

const PACKAGES = [
  'postgresql-client',
  'odbc-postgresql',
  'unixodbc',
  'default-jdk-headless',
  'libpostgresql-jdbc-java',
  'python3-pandas',
  'python3-sqlalchemy',
  'python3-psycopg2',
  'python3-yaml',
  'r-cran-rpostgresql',
  'libreoffice-base',
  'libreoffice-sdbc-postgresql',
  'python3-uno',
  'prometheus',
  'caddy',
  'systemd',
];

export default function setup(): void {
  install(PACKAGES, {
    'postgresql-client': 'psql',
    'default-jdk-headless': 'javac',
    prometheus: 'promtool',
    systemd: 'systemd-analyze',
  });
}
