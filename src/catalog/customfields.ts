/** Module `customfields`: definitions of the fields that a portal adds to its records. */
import { flag, id, integer, link, model, text } from './fields.ts';
import { active, color, importOrigin, ordering } from './groups.ts';

export const customfields = {
  fieldoptions: model('Options of custom select fields', 'customfields', 'expected', {
    field_id: link('Custom field that offers the option', 'customfields.fields'),
    type: text('Kind of option (values undocumented)'),
    value: text('Wording of the option'),
    color,
    ordering,
    ...importOrigin,
  }),

  fields: model('Custom fields', 'customfields', 'flowlu', {
    id: id('Identifier in Flowlu; records carry the value as cf_ and this number'),
    name: text('Label of the field'),
    type: text('Type of the values, e.g. smalltext, price, select.single or model.user'),
    alias: text('Name that may stand in place of the number in cf_ keys'),
    api_use_alias: flag('The API names the value by alias, not by number'),
    webhook_use_alias: flag('Webhooks name the value by alias, not by number'),
    fieldset_id: link('Set that the field belongs to', 'customfields.fieldsets'),
    module: text('Module of the records that carry the field'),
    model: text('Model of the records that carry the field'),
    group_id: link('Custom list that the values are chosen from', 'customfields.fieldsets'),
    group_label_field_id: link('Field of the custom list that serves as label', 'customfields.fields'),
    parent_id: link('Field that this one depends on', 'customfields.fields'),
    scope_id: link('Scope of the field (target undocumented)'),
    hint: text('Explanation shown beside the field'),
    formula: text('Formula that calculates the value'),
    cache_value: text('Value kept by the system for quick display (exact meaning undocumented)'),
    cache_parent_id: link('Parent kept by the system for quick display (exact meaning undocumented)'),
    required: flag('A value must be given'),
    hidden_detail: flag('Hidden on the page of the record'),
    show_on_detail_page: flag('Shown on the page of the record'),
    show_in_mobile: flag('Shown in the mobile application'),
    ordering: integer('Place on the form; a larger number stands lower'),
    active,
  }),

  fieldsets: model('Sets of custom fields (custom lists too)', 'customfields', 'flowlu', {
    name: text('Name of the set'),
    module: text('Module of the records that carry the set'),
    model: text('Model of the records that carry the set'),
    group_field: text('Field of the record that decides whether the set applies'),
    group_id: link('Value of group_field for which the set applies (target depends on it)'),
  }),

  selected_options: model('Chosen options of custom multi-select fields', 'customfields', 'expected', {
    item_id: link('Record that the choice was made on; its model follows from the field'),
    field_id: link('The custom field', 'customfields.fields'),
    fieldoption_id: link('Option that was chosen', 'customfields.fieldoptions'),
  }),
};
