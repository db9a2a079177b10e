CREATE TABLE "sync"."schedule" (
	"model" text PRIMARY KEY NOT NULL,
	"polled_at" timestamp with time zone,
	"poll_requests" integer,
	"poll_interval" integer,
	"swept_from" timestamp with time zone,
	"swept_until" timestamp with time zone,
	"sweep_requests" integer DEFAULT 1 NOT NULL,
	"sweep_interval" integer,
	"missed_at" timestamp with time zone,
	"announced_since" bigint DEFAULT 0 NOT NULL,
	"announced" bigint DEFAULT 0 NOT NULL,
	"missed" bigint DEFAULT 0 NOT NULL,
	"failures" integer DEFAULT 0 NOT NULL,
	"retry_at" timestamp with time zone
);
--> statement-breakpoint
ALTER TABLE "sync"."api_budget" ADD COLUMN "background_slot_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "sync"."api_budget" ADD COLUMN "foreground_at" timestamp with time zone;--> statement-breakpoint
INSERT INTO "sync"."schedule" ("model", "polled_at", "swept_from", "swept_until")
SELECT "model", "last_reconciled_at", "last_reconciled_at", "last_reconciled_at" FROM "sync"."watermarks" WHERE "last_reconciled_at" IS NOT NULL;
