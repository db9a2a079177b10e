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