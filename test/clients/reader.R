# Reads every view, and prints what it has found, for the tests.
library(RPostgreSQL)
args <- commandArgs(trailingOnly = TRUE)
connection <- dbConnect(PostgreSQL(), host = args[1], port = as.integer(args[2]), dbname = args[3], user = args[4], password = args[5])
views <- dbGetQuery(connection, "select schemaname || '.' || viewname as name from pg_views where schemaname like 'flowlu_%'")$name
# The driver knows no jsonb, says so, and reads it as text.
filled <- sum(sapply(views, function(name) nrow(suppressWarnings(dbGetQuery(connection, paste("select * from", name, "limit 2"))))) > 0)
deals <- dbGetQuery(connection, "select count(*) as rows, sum(budget) as budget, max(closing_date) as latest from flowlu_reports.deals")
cat(length(views), filled, deals$rows, format(deals$budget, nsmall = 2, digits = 15), class(deals$latest), ncol(dbReadTable(connection, "deals")), "\n")
invisible(dbDisconnect(connection))
