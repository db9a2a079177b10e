// Reads the mirror as a JDBC tool does: metadata first, then queries. Prints one JSON document.
// java -cp postgresql.jar Reader.java URL USER PASSWORD TABLE QUERY…
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;

class Reader {
  static final DateTimeFormatter MILLIS =
      DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'").withZone(ZoneOffset.UTC);

  public static void main(String[] args) throws SQLException {
    try (Connection connection = DriverManager.getConnection(args[0], args[1], args[2])) {
      DatabaseMetaData metadata = connection.getMetaData();
      List<String> queries = new ArrayList<>();
      for (int i = 4; i < args.length; i++) queries.add(query(connection, args[i]));
      System.out.println("{\"schemas\":" + column(metadata.getSchemas(), "TABLE_SCHEM")
          + ",\"views\":" + views(metadata)
          + ",\"columns\":" + columns(metadata, args[3])
          + ",\"queries\":[" + String.join(",", queries) + "]}");
    }
  }

  static String views(DatabaseMetaData metadata) throws SQLException {
    List<String> values = new ArrayList<>();
    ResultSet rows = metadata.getTables(null, "flowlu\\_%", "%", new String[] {"VIEW"});
    while (rows.next()) values.add(quote(rows.getString("TABLE_SCHEM") + "." + rows.getString("TABLE_NAME")));
    return "[" + String.join(",", values) + "]";
  }

  static String column(ResultSet rows, String name) throws SQLException {
    List<String> values = new ArrayList<>();
    while (rows.next()) values.add(quote(rows.getString(name)));
    return "[" + String.join(",", values) + "]";
  }

  static String columns(DatabaseMetaData metadata, String table) throws SQLException {
    List<String> values = new ArrayList<>();
    ResultSet rows = metadata.getColumns(null, "flowlu_live", table, "%");
    while (rows.next()) {
      values.add("[" + quote(rows.getString("COLUMN_NAME")) + "," + quote(rows.getString("TYPE_NAME")) + ","
          + quote(rows.getString("REMARKS")) + "]");
    }
    return "[" + String.join(",", values) + "]";
  }

  static String query(Connection connection, String text) throws SQLException {
    try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(text)) {
      ResultSetMetaData metadata = rows.getMetaData();
      List<String> all = new ArrayList<>();
      while (rows.next()) {
        List<String> cells = new ArrayList<>();
        for (int i = 1; i <= metadata.getColumnCount(); i++) cells.add(cell(rows, metadata.getColumnTypeName(i), i));
        all.add("[" + String.join(",", cells) + "]");
      }
      return "[" + String.join(",", all) + "]";
    }
  }

  static String cell(ResultSet rows, String type, int i) throws SQLException {
    if (rows.getObject(i) == null) return "null";
    switch (type) {
      case "bool":
        return quote(Boolean.toString(rows.getBoolean(i)));
      case "timestamptz":
        return quote(MILLIS.format(rows.getObject(i, OffsetDateTime.class)));
      case "timestamp":
        return quote(MILLIS.format(rows.getObject(i, LocalDateTime.class).atOffset(ZoneOffset.UTC)));
      case "numeric":
        return quote(rows.getBigDecimal(i).toPlainString());
      default:
        return quote(rows.getString(i));
    }
  }

  static String quote(String text) {
    if (text == null) return "null";
    StringBuilder quoted = new StringBuilder("\"");
    for (char c : text.toCharArray()) {
      if (c == '"' || c == '\\' || c < ' ') quoted.append(String.format("\\u%04x", (int) c));
      else quoted.append(c);
    }
    return quoted.append('"').toString();
  }
}
