CREATE TABLE "sync"."custom_columns" (
	"model" text NOT NULL,
	"name" text NOT NULL,
	"field_id" bigint NOT NULL,
	"base" text NOT NULL,
	"aliases" jsonb NOT NULL,
	"former_since" timestamp with time zone,
	CONSTRAINT "custom_columns_model_name_pk" PRIMARY KEY("model","name")
);
--> statement-breakpoint
CREATE TABLE "sync"."oauth_grant" (
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
--> statement-breakpoint
CREATE TABLE "sync"."oauth_requests" (
	"state_hash" text PRIMARY KEY NOT NULL,
	"client_id" text NOT NULL,
	"redirect_url" text NOT NULL,
	"sealed_verifier" text NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	"answered_at" timestamp with time zone,
	"outcome" text
);
--> statement-breakpoint
CREATE INDEX "crm_lead_customer_id" ON "flowlu"."crm_lead" USING btree ("customer_id");--> statement-breakpoint
CREATE INDEX "crm_lead_closing_date" ON "flowlu"."crm_lead" USING btree ("closing_date");--> statement-breakpoint
CREATE INDEX "fin_invoice_customer_id" ON "flowlu"."fin_invoice" USING btree ("customer_id");--> statement-breakpoint
CREATE INDEX "fin_invoice_invoice_date" ON "flowlu"."fin_invoice" USING btree ("invoice_date");--> statement-breakpoint
CREATE INDEX "fin_invoice_item_invoice_id" ON "flowlu"."fin_invoice_item" USING btree ("invoice_id");--> statement-breakpoint
CREATE INDEX "fin_transaction_date" ON "flowlu"."fin_transaction" USING btree ("date");--> statement-breakpoint
CREATE INDEX "fin_transaction_project_id" ON "flowlu"."fin_transaction" USING btree ("project_id");--> statement-breakpoint
CREATE INDEX "task_tasks_responsible_id" ON "flowlu"."task_tasks" USING btree ("responsible_id");--> statement-breakpoint
CREATE INDEX "task_tasks_model_id" ON "flowlu"."task_tasks" USING btree ("model_id");--> statement-breakpoint
CREATE INDEX "task_tasks_deadline" ON "flowlu"."task_tasks" USING btree ("deadline");--> statement-breakpoint
CREATE INDEX "timetracker_timelogs_start_timestamp" ON "flowlu"."timetracker_timelogs" USING btree ("start_timestamp");--> statement-breakpoint
CREATE INDEX "timetracker_timelogs_timesheet_id" ON "flowlu"."timetracker_timelogs" USING btree ("timesheet_id");--> statement-breakpoint
CREATE INDEX "timetracker_timesheets_model_id" ON "flowlu"."timetracker_timesheets" USING btree ("model_id");