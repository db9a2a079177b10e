CREATE TABLE "sync"."listed_ids" (
	"model" text NOT NULL,
	"kind" text NOT NULL,
	"seq" bigint GENERATED ALWAYS AS IDENTITY (sequence name "sync"."listed_ids_seq_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"ids" bigint[] NOT NULL,
	CONSTRAINT "listed_ids_model_kind_seq_pk" PRIMARY KEY("model","kind","seq")
);
--> statement-breakpoint
CREATE TABLE "sync"."measurements" (
	"model" text NOT NULL,
	"fact" text NOT NULL,
	"value" jsonb NOT NULL,
	"measured_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	CONSTRAINT "measurements_model_fact_pk" PRIMARY KEY("model","fact")
);
--> statement-breakpoint
ALTER TABLE "sync"."doubtful" ADD COLUMN "refused_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "sync"."listings" ADD COLUMN "page_size" integer;