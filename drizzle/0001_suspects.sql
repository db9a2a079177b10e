CREATE TABLE "sync"."suspects" (
	"model" text NOT NULL,
	"entity_id" bigint NOT NULL,
	CONSTRAINT "suspects_model_entity_id_pk" PRIMARY KEY("model","entity_id")
);
