/** Every table, as drizzle-kit reads them. */
export * from './mirror.ts';
export * from './sync.ts';
export { flowlu } from './table.ts';
