"""Lets LibreOffice read every view, as its Base does, and prints what it has found, for the tests."""
import json
import subprocess
import sys
import tempfile
import time

import uno

host, port, database, user, password = sys.argv[1:6]
office_port = sys.argv[6]


def property_of(name, value):
    it = uno.createUnoStruct("com.sun.star.beans.PropertyValue")
    it.Name, it.Value = name, value
    return it


def reached():
    local = uno.getComponentContext()
    resolver = local.ServiceManager.createInstanceWithContext("com.sun.star.bridge.UnoUrlResolver", local)
    for _ in range(240):
        try:
            return resolver.resolve(f"uno:socket,host=127.0.0.1,port={office_port};urp;StarOffice.ComponentContext")
        except Exception:
            time.sleep(0.25)
    raise SystemExit("LibreOffice does not answer")


with tempfile.TemporaryDirectory() as profile:
    office = subprocess.Popen(
        ["soffice", "--headless", "--invisible", "--norestore", f"-env:UserInstallation=file://{profile}",
         f"--accept=socket,host=127.0.0.1,port={office_port};urp;"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        context = reached()
        drivers = context.ServiceManager.createInstanceWithContext("com.sun.star.sdbc.DriverManager", context)
        connection = drivers.getConnectionWithInfo(
            f"sdbc:postgresql:host={host} port={port} dbname={database}",
            (property_of("user", user), property_of("password", password)))
        tables = connection.getMetaData().getTables(None, "flowlu_%", "%", ("VIEW",))
        views = []
        while tables.next():
            views.append(f"{tables.getString(2)}.{tables.getString(3)}")
        statement = connection.createStatement()
        filled = 0
        for name in views:
            rows = statement.executeQuery(f"select * from {name} limit 2")
            width = rows.getMetaData().getColumnCount()
            found = 0
            while rows.next():
                [rows.getString(column + 1) for column in range(width)]
                found += 1
            filled += found > 0
        deals = statement.executeQuery("select count(*), sum(budget) from flowlu_reports.deals")
        deals.next()
        print(json.dumps({"views": sorted(views), "filled": filled, "deals": [deals.getLong(1), deals.getString(2)]}))
        connection.close()
    finally:
        office.kill()
        office.wait()
