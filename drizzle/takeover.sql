-- Brings a database of an unreleased version to the first migration. Every statement may find its work done already.
-- Written by `npm run db:squash` from the migrations that databases may have had:
--   1795455202033 0000_mirror
--   1795571830322 0001_app_views_indexes
--   1795582530082 0002_version_indexes_and_pace
--   1795888677274 0003_request_slots
--   1795891377091 0004_portal_measured
--   1795893905093 0000_mirror
--   1795892831040 0005_report_indexes
--   1795894626625 0000_mirror
--   1795901388631 0001_brief_thanos
--   1795901396702 0000_mirror
--   1795902917078 0001_aromatic_fantastic_four
--   1795902925735 0000_mirror
--   1795903545919 0001_colossal_wolfpack
--   1795903556211 0000_mirror
--   1795946504191 0001_careless_venom
--   1795946505929 0002_smart_klaw
--   1795946508655 0000_mirror
--   1795952628603 0001_abnormal_hardball
--   1795952633987 0000_mirror
--   1795953430536 0001_real_zarek
--   1795953440835 0000_mirror
--   1795983168663 0001_rich_komodo
--   1795983176407 0000_mirror
--   1796009934216 0001_bent_tinkerer
--   1796009935624 0000_mirror
--   1796013432004 0001_mean_swarm
--   1796013433324 0000_mirror
--   1796050313052 0000_mirror
--   1796051261287 0001_motionless_scorpion
CREATE TABLE IF NOT EXISTS "sync"."custom_columns" (
	"model" text NOT NULL,
	"name" text NOT NULL,
	"field_id" bigint NOT NULL,
	"base" text NOT NULL,
	"aliases" jsonb NOT NULL,
	"former_since" timestamp with time zone,
	CONSTRAINT "custom_columns_model_name_pk" PRIMARY KEY("model","name")
);
CREATE TABLE IF NOT EXISTS "sync"."oauth_grant" (
	"id" boolean PRIMARY KEY DEFAULT true NOT NULL,
	"client_id" text NOT NULL,
	"generation" bigint NOT NULL,
	"state" text NOT NULL,
	"sealed" text NOT NULL,
	"granted_at" timestamp with time zone NOT NULL,
	"issued_at" timestamp with time zone NOT NULL,
	"expires_at" timestamp with time zone,
	"refresh_began_at" timestamp with time zone,
	"refresh_failures" integer DEFAULT 0 NOT NULL,
	"next_refresh_at" timestamp with time zone,
	"problem" text,
	CONSTRAINT "oauth_grant_single" CHECK ("sync"."oauth_grant"."id"),
	CONSTRAINT "oauth_grant_state" CHECK ("sync"."oauth_grant"."state" in ('active', 'refused'))
);
CREATE TABLE IF NOT EXISTS "sync"."oauth_requests" (
	"state_hash" text PRIMARY KEY NOT NULL,
	"client_id" text NOT NULL,
	"redirect_url" text NOT NULL,
	"sealed_verifier" text NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	"answered_at" timestamp with time zone,
	"outcome" text
);
CREATE INDEX IF NOT EXISTS "crm_lead_customer_id" ON "flowlu"."crm_lead" USING btree ("customer_id");
CREATE INDEX IF NOT EXISTS "crm_lead_closing_date" ON "flowlu"."crm_lead" USING btree ("closing_date");
CREATE INDEX IF NOT EXISTS "fin_invoice_customer_id" ON "flowlu"."fin_invoice" USING btree ("customer_id");
CREATE INDEX IF NOT EXISTS "fin_invoice_invoice_date" ON "flowlu"."fin_invoice" USING btree ("invoice_date");
CREATE INDEX IF NOT EXISTS "fin_invoice_item_invoice_id" ON "flowlu"."fin_invoice_item" USING btree ("invoice_id");
CREATE INDEX IF NOT EXISTS "fin_transaction_date" ON "flowlu"."fin_transaction" USING btree ("date");
CREATE INDEX IF NOT EXISTS "fin_transaction_project_id" ON "flowlu"."fin_transaction" USING btree ("project_id");
CREATE INDEX IF NOT EXISTS "task_tasks_responsible_id" ON "flowlu"."task_tasks" USING btree ("responsible_id");
CREATE INDEX IF NOT EXISTS "task_tasks_model_id" ON "flowlu"."task_tasks" USING btree ("model_id");
CREATE INDEX IF NOT EXISTS "task_tasks_deadline" ON "flowlu"."task_tasks" USING btree ("deadline");
CREATE INDEX IF NOT EXISTS "timetracker_timelogs_start_timestamp" ON "flowlu"."timetracker_timelogs" USING btree ("start_timestamp");
CREATE INDEX IF NOT EXISTS "timetracker_timelogs_timesheet_id" ON "flowlu"."timetracker_timelogs" USING btree ("timesheet_id");
CREATE INDEX IF NOT EXISTS "timetracker_timesheets_model_id" ON "flowlu"."timetracker_timesheets" USING btree ("model_id");
ALTER TABLE "sync"."api_budget" ADD COLUMN IF NOT EXISTS "taken" timestamp with time zone[] DEFAULT '{}' NOT NULL;
CREATE INDEX IF NOT EXISTS "agile_categories__version" ON "flowlu"."agile_categories" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "agile_epics__version" ON "flowlu"."agile_epics" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "agile_followers__version" ON "flowlu"."agile_followers" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "agile_issue_relation_names__version" ON "flowlu"."agile_issue_relation_names" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "agile_issue_relation_types__version" ON "flowlu"."agile_issue_relation_types" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "agile_issue_relations__version" ON "flowlu"."agile_issue_relations" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "agile_issue_type__version" ON "flowlu"."agile_issue_type" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "agile_issues__version" ON "flowlu"."agile_issues" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "agile_projects__version" ON "flowlu"."agile_projects" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "agile_sprints__version" ON "flowlu"."agile_sprints" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "agile_stages__version" ON "flowlu"."agile_stages" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "agile_workflows__version" ON "flowlu"."agile_workflows" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "calendar_calendar__version" ON "flowlu"."calendar_calendar" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "company_absences__version" ON "flowlu"."company_absences" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "company_absencetypes__version" ON "flowlu"."company_absencetypes" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "crm_account__version" ON "flowlu"."crm_account" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "crm_lead__version" ON "flowlu"."crm_lead" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "crm_lead_accounts__version" ON "flowlu"."crm_lead_accounts" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "crm_lead_followers__version" ON "flowlu"."crm_lead_followers" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "crm_relation__version" ON "flowlu"."crm_relation" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "fin_bank_account_group__version" ON "flowlu"."fin_bank_account_group" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "fin_business_line__version" ON "flowlu"."fin_business_line" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "fin_commitment__version" ON "flowlu"."fin_commitment" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "fin_customer_payment__version" ON "flowlu"."fin_customer_payment" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "fin_estimate__version" ON "flowlu"."fin_estimate" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "fin_estimate_template__version" ON "flowlu"."fin_estimate_template" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "fin_invoice__version" ON "flowlu"."fin_invoice" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "fin_item_relations__version" ON "flowlu"."fin_item_relations" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "fin_plan_money__version" ON "flowlu"."fin_plan_money" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "fin_recurring_invoice__version" ON "flowlu"."fin_recurring_invoice" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "fin_relations__version" ON "flowlu"."fin_relations" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "fin_transaction__version" ON "flowlu"."fin_transaction" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "fin_transaction_pls__version" ON "flowlu"."fin_transaction_pls" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "knowledgebase_access__version" ON "flowlu"."knowledgebase_access" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "knowledgebase_article__version" ON "flowlu"."knowledgebase_article" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "knowledgebase_feedback__version" ON "flowlu"."knowledgebase_feedback" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "knowledgebase_hierarchy__version" ON "flowlu"."knowledgebase_hierarchy" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "knowledgebase_knowledgebases__version" ON "flowlu"."knowledgebase_knowledgebases" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "knowledgebase_statuses__version" ON "flowlu"."knowledgebase_statuses" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "knowledgebase_tags__version" ON "flowlu"."knowledgebase_tags" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "knowledgebase_version__version" ON "flowlu"."knowledgebase_version" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "loans_loan__version" ON "flowlu"."loans_loan" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "products_category__version" ON "flowlu"."products_category" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "products_document_items__version" ON "flowlu"."products_document_items" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "products_manufacturer__version" ON "flowlu"."products_manufacturer" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "products_owed__version" ON "flowlu"."products_owed" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "products_pricelist__version" ON "flowlu"."products_pricelist" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "products_pricelist_item__version" ON "flowlu"."products_pricelist_item" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "products_product__version" ON "flowlu"."products_product" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "products_store__version" ON "flowlu"."products_store" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "products_store_document__version" ON "flowlu"."products_store_document" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "products_units__version" ON "flowlu"."products_units" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "st_portfolio__version" ON "flowlu"."st_portfolio" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "st_project_expense__version" ON "flowlu"."st_project_expense" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "st_project_money_stage__version" ON "flowlu"."st_project_money_stage" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "st_projects__version" ON "flowlu"."st_projects" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "st_stage_checkitems__version" ON "flowlu"."st_stage_checkitems" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "task_collaborators__version" ON "flowlu"."task_collaborators" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "task_followers__version" ON "flowlu"."task_followers" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "task_invoicing_logs__version" ON "flowlu"."task_invoicing_logs" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "task_lists__version" ON "flowlu"."task_lists" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "task_stages__version" ON "flowlu"."task_stages" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "task_tasks__version" ON "flowlu"."task_tasks" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "task_taskslists__version" ON "flowlu"."task_taskslists" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "task_workflows__version" ON "flowlu"."task_workflows" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "timetracker_billing_entities_list__version" ON "flowlu"."timetracker_billing_entities_list" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "timetracker_timelogs__version" ON "flowlu"."timetracker_timelogs" USING btree ("_version");
CREATE INDEX IF NOT EXISTS "timetracker_timesheets__version" ON "flowlu"."timetracker_timesheets" USING btree ("_version");
ALTER TABLE "sync"."api_budget" DROP COLUMN IF EXISTS "taken";
CREATE TABLE IF NOT EXISTS "sync"."listed_ids" (
	"model" text NOT NULL,
	"kind" text NOT NULL,
	"seq" bigint GENERATED ALWAYS AS IDENTITY (sequence name "sync"."listed_ids_seq_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"ids" bigint[] NOT NULL,
	CONSTRAINT "listed_ids_model_kind_seq_pk" PRIMARY KEY("model","kind","seq")
);
CREATE TABLE IF NOT EXISTS "sync"."measurements" (
	"model" text NOT NULL,
	"fact" text NOT NULL,
	"value" jsonb NOT NULL,
	"measured_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	CONSTRAINT "measurements_model_fact_pk" PRIMARY KEY("model","fact")
);
ALTER TABLE "sync"."doubtful" ADD COLUMN IF NOT EXISTS "refused_at" timestamp with time zone;
ALTER TABLE "sync"."listings" ADD COLUMN IF NOT EXISTS "page_size" integer;
CREATE INDEX IF NOT EXISTS "crm_account_merged_to" ON "flowlu"."crm_account" USING btree ("merged_to");
CREATE INDEX IF NOT EXISTS "crm_lead_contact_id" ON "flowlu"."crm_lead" USING btree ("contact_id");
CREATE INDEX IF NOT EXISTS "crm_lead_accounts_lead_id" ON "flowlu"."crm_lead_accounts" USING btree ("lead_id");
CREATE INDEX IF NOT EXISTS "crm_lead_accounts_account_id" ON "flowlu"."crm_lead_accounts" USING btree ("account_id");
CREATE INDEX IF NOT EXISTS "fin_invoice_status_id" ON "flowlu"."fin_invoice" USING btree ("status_id");
CREATE INDEX IF NOT EXISTS "fin_invoice_model_id" ON "flowlu"."fin_invoice" USING btree ("model_id");
CREATE INDEX IF NOT EXISTS "fin_relations_plan_money_id" ON "flowlu"."fin_relations" USING btree ("plan_money_id");
CREATE INDEX IF NOT EXISTS "fin_transaction_invoice_id" ON "flowlu"."fin_transaction" USING btree ("invoice_id");
CREATE INDEX IF NOT EXISTS "fin_transaction_crm_account_id" ON "flowlu"."fin_transaction" USING btree ("crm_account_id");
CREATE TABLE IF NOT EXISTS "sync"."deal_states" (
	"model" text NOT NULL,
	"entity_id" bigint NOT NULL,
	"place" integer NOT NULL,
	"valid_from" timestamp with time zone NOT NULL,
	"valid_to" timestamp with time zone,
	"stay" integer NOT NULL,
	"enters_exactly" boolean NOT NULL,
	"known_at" timestamp with time zone NOT NULL,
	"kept_at" timestamp with time zone NOT NULL,
	"pipeline_id" bigint,
	"pipeline_stage_id" bigint,
	"active" integer,
	"budget" numeric,
	"merged_to_id" bigint,
	CONSTRAINT "deal_states_entity_id_place_pk" PRIMARY KEY("entity_id","place")
);
CREATE TABLE IF NOT EXISTS "flowlu"."fin_categories" (
	"id" bigint PRIMARY KEY NOT NULL,
	"name" text,
	"type" integer,
	"_record" jsonb NOT NULL,
	"_version" timestamp with time zone,
	"_observed_at" timestamp with time zone NOT NULL,
	"_source" text NOT NULL,
	"_deleted_at" timestamp with time zone,
	"_hash" uuid NOT NULL
);
ALTER TABLE "sync"."deliveries" ADD COLUMN IF NOT EXISTS "headers" jsonb;
CREATE TABLE IF NOT EXISTS "sync"."schedule" (
	"model" text PRIMARY KEY NOT NULL,
	"polled_at" timestamp with time zone,
	"poll_requests" integer,
	"poll_interval" integer,
	"swept_from" timestamp with time zone,
	"swept_until" timestamp with time zone,
	"sweep_requests" integer DEFAULT 1 NOT NULL,
	"sweep_interval" integer,
	"rows" integer,
	"missed_at" timestamp with time zone,
	"announced_since" bigint DEFAULT 0 NOT NULL,
	"announced" bigint DEFAULT 0 NOT NULL,
	"missed" bigint DEFAULT 0 NOT NULL,
	"failures" integer DEFAULT 0 NOT NULL,
	"retry_at" timestamp with time zone
);
ALTER TABLE "sync"."api_budget" ADD COLUMN IF NOT EXISTS "background_turn_at" timestamp with time zone;
ALTER TABLE "sync"."api_budget" ADD COLUMN IF NOT EXISTS "background_slot_at" timestamp with time zone;
ALTER TABLE "sync"."api_budget" ADD COLUMN IF NOT EXISTS "foreground_at" timestamp with time zone;
ALTER TABLE "sync"."api_budget" ADD COLUMN IF NOT EXISTS "foreground_run" integer DEFAULT 0 NOT NULL;
INSERT INTO "sync"."schedule" ("model", "polled_at", "swept_from", "swept_until")
SELECT "model", "last_reconciled_at", "last_reconciled_at", "last_reconciled_at" FROM "sync"."watermarks" WHERE "last_reconciled_at" IS NOT NULL
ON CONFLICT ("model") DO NOTHING;
ALTER TABLE "sync"."doubtful" ADD COLUMN IF NOT EXISTS "refusal" text;
ALTER TABLE "sync"."doubtful" DROP COLUMN IF EXISTS "refused_at";
ALTER TABLE "sync"."listings" ADD COLUMN IF NOT EXISTS "completed_at" timestamp with time zone;
UPDATE "sync"."listings" SET "completed_at" = "finished_at" WHERE "outcome" = 'complete' AND "completed_at" IS NULL;
CREATE INDEX IF NOT EXISTS "crm_lead_created_date" ON "flowlu"."crm_lead" USING btree ("created_date");
CREATE INDEX IF NOT EXISTS "task_tasks_crm_account_id" ON "flowlu"."task_tasks" USING btree ("crm_account_id");
CREATE INDEX IF NOT EXISTS "task_tasks_closed_date" ON "flowlu"."task_tasks" USING btree ("closed_date");
CREATE INDEX IF NOT EXISTS "fin_invoice_estimate_id" ON "flowlu"."fin_invoice" USING btree ("estimate_id");
ALTER TABLE "sync"."listings" ADD COLUMN IF NOT EXISTS "rows_missed" bigint DEFAULT 0 NOT NULL;
ALTER TABLE "sync"."listings" ADD COLUMN IF NOT EXISTS "unread" jsonb;
ALTER TABLE "sync"."listings" ADD COLUMN IF NOT EXISTS "is_open" boolean DEFAULT true NOT NULL;
ALTER TABLE "sync"."listings" ADD COLUMN IF NOT EXISTS "rows_unread" bigint DEFAULT 0 NOT NULL;
ALTER TABLE "sync"."listings" ADD COLUMN IF NOT EXISTS "rows_held" bigint DEFAULT 0 NOT NULL;
UPDATE "sync"."listings" SET "finished_at" = "completed_at", "outcome" = 'complete' WHERE "finished_at" IS NULL AND "completed_at" IS NOT NULL;
UPDATE "sync"."listings" SET "is_open" = false WHERE "is_open" AND "finished_at" >= "started_at";
DROP INDEX IF EXISTS "flowlu"."crm_account_merged_to";
CREATE INDEX IF NOT EXISTS "crm_account_merged" ON "flowlu"."crm_account" USING btree ("merged_to","id") WHERE "flowlu"."crm_account"."merged_to" is not null;
CREATE INDEX IF NOT EXISTS "crm_lead_merged" ON "flowlu"."crm_lead" USING btree ("merged_to_id","id") WHERE "flowlu"."crm_lead"."merged_to_id" is not null;
ALTER TABLE "sync"."deal_states" ADD COLUMN IF NOT EXISTS "entered_at" timestamp with time zone;
ALTER TABLE "sync"."deal_states" ADD COLUMN IF NOT EXISTS "ends_stay" boolean;
-- Each state says what its stay was, which used to be added up from the states with its number.
DO $$ BEGIN
  IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'sync.deal_states'::regclass AND attname = 'stay' AND NOT attisdropped) THEN
    UPDATE sync.deal_states k
       SET entered_at = s.entered_at, enters_exactly = s.enters_exactly, ends_stay = k.place = s.last_place
      FROM (SELECT entity_id, stay, min(valid_from) AS entered_at, bool_or(enters_exactly) AS enters_exactly, max(place) AS last_place
              FROM sync.deal_states GROUP BY entity_id, stay) s
     WHERE s.entity_id = k.entity_id AND s.stay = k.stay;
  END IF;
END $$;
ALTER TABLE "sync"."deal_states" ALTER COLUMN "entered_at" SET NOT NULL;
ALTER TABLE "sync"."deal_states" ALTER COLUMN "ends_stay" SET NOT NULL;
ALTER TABLE "sync"."deal_states" DROP COLUMN IF EXISTS "stay";
