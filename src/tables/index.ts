/** All tables, for drizzle-kit. */
export * from './mirror.ts';
export * from './sync.ts';
export { flowlu } from './table.ts';
