CREATE INDEX "crm_account_merged_to" ON "flowlu"."crm_account" USING btree ("merged_to");--> statement-breakpoint
CREATE INDEX "crm_lead_contact_id" ON "flowlu"."crm_lead" USING btree ("contact_id");--> statement-breakpoint
CREATE INDEX "crm_lead_accounts_lead_id" ON "flowlu"."crm_lead_accounts" USING btree ("lead_id");--> statement-breakpoint
CREATE INDEX "crm_lead_accounts_account_id" ON "flowlu"."crm_lead_accounts" USING btree ("account_id");--> statement-breakpoint
CREATE INDEX "fin_invoice_status_id" ON "flowlu"."fin_invoice" USING btree ("status_id");--> statement-breakpoint
CREATE INDEX "fin_invoice_model_id" ON "flowlu"."fin_invoice" USING btree ("model_id");--> statement-breakpoint
CREATE INDEX "fin_relations_plan_money_id" ON "flowlu"."fin_relations" USING btree ("plan_money_id");--> statement-breakpoint
CREATE INDEX "fin_transaction_invoice_id" ON "flowlu"."fin_transaction" USING btree ("invoice_id");--> statement-breakpoint
CREATE INDEX "fin_transaction_crm_account_id" ON "flowlu"."fin_transaction" USING btree ("crm_account_id");