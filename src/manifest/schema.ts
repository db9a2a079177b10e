/** What is documented of a Developer Hub manifest, as a schema. */
import { z } from 'zod';

const text = z.string().trim().min(1);
const webAddress = z.url({ protocol: /^https?$/ });

/** Major.Minor.Patch, perhaps with a pre-release and build. */
const semver = z
  .string()
  .regex(/^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[\w.-]+)?(\+[\w.-]+)?$/, 'must be like 1.0.0');

/**
 * A manifest. Optional is what the documentation calls so, or shows for some apps only; fields that it does not
 * mention are let through, since it is not complete.
 */
export const manifestSchema = z.looseObject({
  appId: text,
  name: text.max(60),
  version: semver,
  description: text,
  author: z.looseObject({ name: text, contact: text }),
  iconUrl: webAddress,
  categories: z.array(text),
  tags: z.array(text),
  permissions: z.array(z.string().regex(/^[a-z][\w]*(\.\w+)+$/i, 'must be a scope with its level, such as crm.read')),
  integrationPoints: z.looseObject({
    menu: z.looseObject({ section: text, title: text, icon: webAddress.optional() }).optional(),
    dashboard: z.looseObject({ widgetTitle: text, size: text }).optional(),
    cards: z.array(z.looseObject({ entity: text, widgetTitle: text })).optional(),
  }),
  entrypointURL: webAddress,
  webhookURL: webAddress.optional(),
  configuration: z
    .looseObject({ configSchema: z.record(z.string(), z.unknown()), defaultConfig: z.record(z.string(), z.unknown()) })
    .optional(),
  platformVersion: z.literal('1.0'),
});

export type Manifest = z.output<typeof manifestSchema>;
