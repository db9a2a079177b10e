/** Module `fin`: documents, money and their setup. */
import { estimates } from './fin/estimates.ts';
import { invoices } from './fin/invoices.ts';
import { money } from './fin/money.ts';
import { setup } from './fin/setup.ts';

export const fin = { ...estimates, ...invoices, ...money, ...setup } as const;
