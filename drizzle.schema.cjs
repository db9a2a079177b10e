// drizzle-kit takes tables from the exports of a file, and ES modules cannot export what is made from the catalogue.
module.exports = require('./src/tables/index.ts').tables;
