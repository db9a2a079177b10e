CREATE TABLE "sync"."custom_columns" (
	"model" text NOT NULL,
	"name" text NOT NULL,
	"field_id" bigint NOT NULL,
	"base" text NOT NULL,
	"aliases" jsonb NOT NULL,
	"former_since" timestamp with time zone,
	CONSTRAINT "custom_columns_model_name_pk" PRIMARY KEY("model","name")
);
