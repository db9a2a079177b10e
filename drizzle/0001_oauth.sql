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
