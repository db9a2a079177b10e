/** Module `knowledgebase`: articles, their versions and their readers. */
import { code, flag, integer, link, model, text } from './fields.ts';
import { active, audit, ordering, provenance, uuid } from './groups.ts';

const knowledgebase_id = link('Knowledge base that this belongs to', 'knowledgebase.knowledgebases');

export const knowledgebase = {
  access: model('Access rights to knowledge bases', 'knowledgebase', 'aspro', {
    knowledgebase_id,
    user_id: link('User who has the right', 'core.user'),
    group_id: link('User group that has the right, in place of a single user'),
    level: code('What the right allows (values undocumented)'),
    ...audit,
  }),

  article: model('Articles', 'knowledgebase', 'aspro', {
    knowledgebase_id,
    article_name: text('Title of the article'),
    code: text('Short name of the article in addresses'),
    actual_version_id: link('Version that readers see', 'knowledgebase.version'),
    is_show_main: flag('Shown on the front page of the knowledge base'),
    ordering,
    active,
    hash: text('Hash of the article (what it covers is undocumented)'),
    ...provenance,
  }),

  feedback: model('Readers on whether an article helped', 'knowledgebase', 'aspro', {
    article_id: link('Article that the feedback is on', 'knowledgebase.article'),
    feedback_value: text('What the reader answered (values undocumented)'),
    user_id: link('Reader, where logged in', 'core.user'),
    session_id: text('Session of the reader'),
    user_ip: integer('IPv4 address of the reader, as an unsigned 32-bit number'),
    created_date: audit.created_date,
    updated_by: audit.updated_by,
    updated_date: audit.updated_date,
  }),

  hierarchy: model('Places of articles in the tree', 'knowledgebase', 'aspro', {
    knowledgebase_id,
    article_id: link('The article', 'knowledgebase.article'),
    parent_article_id: link('Article above it', 'knowledgebase.article'),
    ordering,
    ...audit,
  }),

  knowledgebases: model('Knowledge bases', 'knowledgebase', 'aspro', {
    knowledgebase_name: text('Name of the knowledge base'),
    knowledgebase_description: text('What the knowledge base is about'),
    code: text('Short name of the knowledge base in addresses'),
    external: flag('Open to readers from outside'),
    language_id: link('Language of the knowledge base'),
    icon: text('Icon of the knowledge base'),
    logo_url: text('Address of the logo'),
    banner_id: link('Picture of the banner (target undocumented)'),
    banner_font_color: text('Colour of the writing on the banner'),
    searchbox_placeholder: text('Hint shown in the empty search box'),
    texteditor_type: text('Editor used for articles (values undocumented)'),
    custom_css: text('Style sheet of its own'),
    ordering,
    active,
    ...provenance,
  }),

  statuses: model('Statuses of article versions', 'knowledgebase', 'aspro', {
    name: text('Name of the status'),
    ...audit,
  }),

  tags: model('Keywords of articles', 'knowledgebase', 'aspro', {
    knowledgebase_id,
    tag_name: text('The keyword'),
    active,
    ...audit,
  }),

  version: model('Versions of articles, with their text', 'knowledgebase', 'aspro', {
    knowledgebase_id,
    article_id: link('Article that this is a version of', 'knowledgebase.article'),
    status_version_id: link('Status of the version', 'knowledgebase.statuses'),
    approver_id: link('User who approves the version', 'core.user'),
    content: text('Text of the article, with markup'),
    search_text: text('Text of the article prepared for search'),
    uuid,
    ...audit,
  }),
};
