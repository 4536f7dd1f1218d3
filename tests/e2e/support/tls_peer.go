// A client of Go's own TLS for tls_go.test.mjs: tries a server in many ways, and prints what came of each as JSON.
//
//	tls_peer PORT CA.PEM
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

const request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

var address string
var roots = x509.NewCertPool()

func dial(change func(*tls.Config)) (*tls.Conn, net.Conn, error) {
	config := &tls.Config{RootCAs: roots, ServerName: "localhost"}
	change(config)
	raw, err := net.Dial("tcp", address)
	if err != nil {
		return nil, nil, err
	}
	_ = raw.SetDeadline(time.Now().Add(20 * time.Second))
	conn := tls.Client(raw, config)
	return conn, raw, conn.Handshake()
}

// Asks once: "ok", and how; or the error.
func ask(change func(*tls.Config)) string {
	conn, _, err := dial(change)
	if err != nil {
		return "refused: " + err.Error()
	}
	defer conn.Close()
	fmt.Fprint(conn, request)
	text, err := io.ReadAll(conn) // an end without close_notify is an error
	if err != nil || !strings.Contains(string(text), "200 OK") {
		return fmt.Sprintf("no answer: %v %q", err, text)
	}
	return "ok " + tls.VersionName(conn.ConnectionState().Version)
}

func version(least, most uint16) string {
	return ask(func(c *tls.Config) { c.MinVersion, c.MaxVersion = least, most })
}

func suites(ids ...uint16) string {
	return ask(func(c *tls.Config) { c.MaxVersion, c.CipherSuites = tls.VersionTLS12, ids })
}

// Each connection takes the tickets that the ones before have left.
func resumed(most uint16) []bool {
	cache := tls.NewLRUClientSessionCache(4)
	var all []bool
	for i := 0; i < 5; i++ {
		conn, _, err := dial(func(c *tls.Config) { c.MaxVersion, c.ClientSessionCache = most, cache })
		if err != nil {
			return nil
		}
		fmt.Fprint(conn, request)
		_, _ = io.ReadAll(conn)
		all = append(all, conn.ConnectionState().DidResume)
		conn.Close()
	}
	return all
}

// Writes bytes that are no record, behind a good handshake: how the server ends the connection.
func garbled(bytes string, closes bool) string {
	conn, raw, err := dial(func(*tls.Config) {})
	if err != nil {
		return err.Error()
	}
	defer raw.Close()
	fmt.Fprint(raw, bytes)
	if closes {
		_ = raw.(*net.TCPConn).CloseWrite()
	}
	text, err := io.ReadAll(conn)
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		return "still open"
	}
	return fmt.Sprintf("ended, %d bytes", len(text))
}

// Says that it is done before the answer comes.
func halfClosed() string {
	conn, _, err := dial(func(*tls.Config) {})
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	fmt.Fprint(conn, strings.Replace(request, "Connection: close\r\n", "", 1))
	_ = conn.CloseWrite()
	text, err := io.ReadAll(conn)
	if err != nil || !strings.Contains(string(text), "200 OK") {
		return fmt.Sprintf("%v %q", err, text)
	}
	return "ok"
}

func protocol(offered ...string) string {
	conn, raw, err := dial(func(c *tls.Config) { c.NextProtos = offered })
	if err != nil {
		return "refused: " + err.Error()
	}
	defer raw.Close()
	return conn.ConnectionState().NegotiatedProtocol
}

func main() {
	address = "127.0.0.1:" + os.Args[1]
	pem, err := os.ReadFile(os.Args[2])
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		panic("no authority")
	}
	record := "\x17\x03\x03\x00\x20" + strings.Repeat("x", 32)
	_ = json.NewEncoder(os.Stdout).Encode(map[string]any{
		"tls10":         version(tls.VersionTLS10, tls.VersionTLS10),
		"tls11":         version(tls.VersionTLS11, tls.VersionTLS11),
		"tls12":         version(tls.VersionTLS12, tls.VersionTLS12),
		"tls13":         version(tls.VersionTLS13, tls.VersionTLS13),
		"rsa_exchange":  suites(tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_128_CBC_SHA),
		"cbc":           suites(tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA),
		"gcm":           suites(tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
		"chacha":        suites(tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
		"p256":          ask(func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP256} }),
		"p521":          ask(func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP521} }),
		"other_name":    ask(func(c *tls.Config) { c.ServerName = "other.example" }),
		"resumed12":     resumed(tls.VersionTLS12),
		"resumed13":     resumed(tls.VersionTLS13),
		"garbage":       garbled("GET / HTTP/1.1\r\n\r\n", false),
		"forged":        garbled(record, false),
		"too_long":      garbled("\x17\x03\x03\xff\xff", false),
		"unknown_type":  garbled("\x63\x03\x03\x00\x01x", false),
		"truncated":     garbled(record[:20], true),
		"half_closed":   halfClosed(),
		"h2":            protocol("h2", "http/1.1"),
		"http1":         protocol("http/1.1"),
		"none":          protocol(),
		"no_such_thing": protocol("spdy/3"),
	})
}
