// The database file: made when it is new, checked when it is not, locked while it is served.
package main

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/persistence/sql/sqlplugin"
	sqliteplugin "go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	sqliteschema "go.temporal.io/server/schema/sqlite"
)

// openDatabase makes the database ready for the server and returns how to reach it. The file stays locked until this
// process ends: two servers on one file would take each other's workflows away.
func openDatabase(opts options) (*config.SQL, error) {
	if opts.databaseFile == "" {
		return prepareNamespaces(&config.SQL{
			PluginName:        sqliteplugin.PluginName,
			DatabaseName:      strconv.Itoa(rand.Int()), // names the shared memory, so two in one process stay apart
			ConnectAttributes: map[string]string{"mode": "memory", "cache": "shared"},
		}, opts)
	}
	file, err := filepath.Abs(opts.databaseFile)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the folder of --db-filename: %w", err)
	}
	if err := lockFile(file + ".lock"); err != nil {
		return nil, err
	}
	if err := ensureSchema(file); err != nil {
		return nil, err
	}
	return prepareNamespaces(&config.SQL{
		PluginName:   sqliteplugin.PluginName,
		DatabaseName: uriPath(file),
		ConnectAttributes: map[string]string{
			"mode":         "rwc",
			"journal_mode": "wal", // a commit costs one write instead of three
			"synchronous":  "2",   // FULL: a commit survives a power cut, not only a killed process
			"busy_timeout": "5000",
		},
	}, opts)
}

// uriPath quotes what would end the path in SQLite's file: address.
func uriPath(file string) string {
	return (&url.URL{Path: file}).EscapedPath()
}

// lockFile takes a lock that the kernel gives back whenever this process ends, SIGKILL included.
func lockFile(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("cannot open the lock of the database: %w", err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		var owner struct{ PID int }
		_ = json.NewDecoder(file).Decode(&owner) // only for the message; 0 says it well enough
		return fmt.Errorf("%s is in use by another server; stop it first: kill %d", path[:len(path)-len(".lock")], owner.PID)
	}
	if err != nil {
		return fmt.Errorf("cannot lock %s: %w", path, err)
	}
	lock = file
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err = fmt.Fprintf(file, `{"pid":%d}`, os.Getpid())
	return err
}

// lock keeps the locked file reachable: a collected os.File is closed, and the lock gone with it.
var lock io.Closer

// ensureSchema writes the tables into a new file and checks those of an existing one.
func ensureSchema(file string) error {
	db, err := sql.Open("sqlite", "file:"+uriPath(file)+"?mode=rwc")
	if err != nil {
		return err
	}
	defer db.Close()
	have, err := columns(db)
	if err != nil {
		return fmt.Errorf("cannot read the database %s: %w; if it is no Temporal database, choose another --db-filename", file, err)
	}
	if len(have) == 0 {
		return createSchema(db)
	}

	// The server does not migrate SQLite. A file of another version would fail much later, with a bare SQL error.
	model, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return err
	}
	defer model.Close()
	model.SetMaxOpenConns(1) // each connection would have a memory of its own
	if err := createSchema(model); err != nil {
		return err
	}
	want, err := columns(model)
	if err != nil {
		return err
	}
	for _, column := range want {
		if !slices.Contains(have, column) {
			return fmt.Errorf("%s was made by another version of the Temporal server (it has no %s); move it away to begin a new one: mv '%s' '%s.old'",
				file, column, file, file)
		}
	}
	return nil
}

// createSchema writes all tables in one transaction, so that a killed first start leaves an empty file, not half a schema.
func createSchema(db *sql.DB) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // nothing left to roll back after the commit
	if err := sqliteschema.SetupSchemaOnDB(schemaWriter{tx: tx}); err != nil {
		return fmt.Errorf("cannot write the database schema: %w", err)
	}
	return tx.Commit()
}

// schemaWriter is the one method of AdminDB that the schema set-up calls, inside a transaction.
type schemaWriter struct {
	sqlplugin.AdminDB
	tx *sql.Tx
}

func (w schemaWriter) Exec(statement string, args ...any) error {
	_, err := w.tx.Exec(statement, args...)
	return err
}

// columns lists "table.column" of everything in the database.
func columns(db *sql.DB) ([]string, error) {
	rows, err := db.Query(`SELECT m.name || '.' || c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}
