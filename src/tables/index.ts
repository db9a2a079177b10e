import * as mirror from './mirror.ts';
import * as sync from './sync.ts';

/** All tables and their schemas, for drizzle-kit. */
export const tables = { ...mirror.mirrorTables, uncatalogued: mirror.uncatalogued, flowlu: mirror.flowlu, ...sync };
