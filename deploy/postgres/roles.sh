#!/bin/sh
# Run once by the image of PostgreSQL, when its volume is new: one login that may change the schema, one that may write rows.
set -eu
psql -v ON_ERROR_STOP=1 -v owner="$OWNER_PASSWORD" -v service="$SERVICE_PASSWORD" \
  --username "$POSTGRES_USER" --dbname postgres <<'SQL'
create role flowlu_owner login createrole password :'owner';
create role flowlu_service login password :'service';
create role flowlu_writer nologin;
grant flowlu_writer to flowlu_service;
create database flowlu owner flowlu_owner;
revoke connect, temporary on database flowlu from public;
grant connect on database flowlu to flowlu_service;
SQL
