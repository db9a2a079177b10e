/** The manifest of an installation: what it mirrors, where it is reached, and nothing more. Pure. */
import { type Manifest, manifestSchema } from './schema.ts';
import type { NeededScope } from './scopes.ts';

export interface ManifestFacts {
  readonly version: string;
  /** Address of the service, without a slash at the end. */
  readonly publicUrl: string;
  /** Null: the host of the address, backwards. */
  readonly appId: string | null;
  /** Null: the address. */
  readonly contact: string | null;
  readonly scopes: readonly NeededScope[];
  /** Where callbacks go; it holds the secret, so the manifest is one then. Null leaves it out. */
  readonly webhookUrl: string | null;
}

const APP_PATH = '/app';
const ICON_PATH = '/app/icon.svg';
const NAME = 'flowlu-mirror';
/** The only section of the menu that the documentation names. */
const SECTION = 'CRM';

export function buildManifest({ version, publicUrl, appId, contact, scopes, webhookUrl }: ManifestFacts): Manifest {
  const icon = `${publicUrl}${ICON_PATH}`;
  return manifestSchema.parse({
    appId: appId ?? reversedHost(publicUrl),
    name: NAME,
    version,
    description:
      'Keeps a copy of the portal in a PostgreSQL database of your own, for reports and BI tools. It only reads.',
    author: { name: NAME, contact: contact ?? publicUrl },
    iconUrl: icon,
    categories: ['Utilities'],
    tags: ['sync', 'database', 'reports'],
    permissions: scopes.map(({ permission }) => permission),
    integrationPoints: { menu: { section: SECTION, title: 'Mirror', icon } },
    entrypointURL: `${publicUrl}${APP_PATH}`,
    ...(webhookUrl !== null && { webhookURL: webhookUrl }),
    configuration: { configSchema: { type: 'object', properties: {}, required: [] }, defaultConfig: {} },
    platformVersion: '1.0',
  });
}

/** `mirror.example.com` → `com.example.mirror`; an address of numbers stays as it is. */
function reversedHost(publicUrl: string): string {
  const { hostname } = new URL(publicUrl);
  return /[\d\]]$/.test(hostname) ? `local.${NAME}` : hostname.split('.').reverse().join('.');
}
