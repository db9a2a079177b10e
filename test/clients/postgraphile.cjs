// Makes a GraphQL interface of the views and asks it one question, for the tests.
const { createPostGraphileSchema, withPostGraphileContext } = require('postgraphile');
const { makePgSmartTagsFromFilePlugin } = require('postgraphile/plugins');
const { graphql } = require('graphql');
const { Pool } = require('pg');

const READ = `{ allDeals(first: 1, orderBy: CUSTOMER_ID_ASC) {
  totalCount nodes { customerName crmAccountByCustomerId { name } } } }`;
const CHANGE = 'mutation { deleteCrmPhoneById(input: { id: "1" }) { clientMutationId } }';

async function main() {
  const pgPool = new Pool({ connectionString: process.env.DATABASE_URL });
  const schema = await createPostGraphileSchema(pgPool, ['flowlu_live', 'flowlu_reports'], {
    appendPlugins: [makePgSmartTagsFromFilePlugin('./postgraphile.tags.json5')],
    dynamicJson: true,
  });
  const ask = (question) => withPostGraphileContext({ pgPool }, (context) => graphql(schema, question, null, context));
  process.stdout.write(JSON.stringify({ read: await ask(READ), refused: await ask(CHANGE) }));
  await pgPool.end();
}
main();
