// Creates, fills, reopens and checks a sealed file. Arguments: extension, URI, URI with a wrong key.
package main

import (
	"database/sql"
	"fmt"
	"os"

	"github.com/mattn/go-sqlite3"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	extension, uri, wrong := os.Args[1], os.Args[2], os.Args[3]
	sql.Register("loader", &sqlite3.SQLiteDriver{Extensions: []string{extension}})
	loader, err := sql.Open("loader", ":memory:")
	must(err)
	must(loader.Ping())
	must(loader.Close())

	db, err := sql.Open("sqlite3", uri)
	must(err)
	_, err = db.Exec("PRAGMA journal_mode=WAL; CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT)")
	must(err)
	tx, err := db.Begin()
	must(err)
	for i := 0; i < 1000; i++ {
		_, err = tx.Exec("INSERT INTO t(x) VALUES (?)", fmt.Sprintf("very secret words %d", i))
		must(err)
	}
	must(tx.Commit())
	must(db.Close())

	db, err = sql.Open("sqlite3", uri)
	must(err)
	var rows int
	var verdict string
	must(db.QueryRow("SELECT count(*) FROM t").Scan(&rows))
	must(db.QueryRow("PRAGMA zqlite_verify").Scan(&verdict))
	if rows != 1000 || verdict != "ok" {
		panic(verdict)
	}
	must(db.Close())

	db, err = sql.Open("sqlite3", wrong)
	must(err)
	if db.Ping() == nil && db.QueryRow("SELECT count(*) FROM t").Scan(&rows) == nil {
		panic("a wrong key opens the file")
	}
	fmt.Println(rows, "rows")
}
