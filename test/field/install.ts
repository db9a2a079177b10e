/** Installs what the field tests need and is not there yet. */
import { install } from '../support/debian.ts';

export default function setup(): void {
  install(['postgresql', 'pgbouncer', 'haproxy', 'caddy', 'nginx']);
}
