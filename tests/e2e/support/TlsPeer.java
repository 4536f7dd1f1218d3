// A client of Java's own TLS for tls_java.test.mjs: tries a server in many ways, and prints what came of each as JSON.
//
//     java TlsPeer.java PORT CA.PEM

import java.io.ByteArrayOutputStream;
import java.io.FileInputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.WebSocket;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.Security;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSession;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

public class TlsPeer {
    static final String REQUEST = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    static int port;
    static String authority;

    static SSLContext context() throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (InputStream file = new FileInputStream(authority)) {
            store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(file));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return context;
    }

    static SSLSocket dial(SSLContext context, String name, Consumer<SSLParameters> change) throws Exception {
        Socket raw = new Socket("127.0.0.1", port);
        raw.setSoTimeout(20_000);
        SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket(raw, name, port, true);
        SSLParameters parameters = socket.getSSLParameters();
        parameters.setEndpointIdentificationAlgorithm("HTTPS");
        change.accept(parameters);
        socket.setSSLParameters(parameters);
        socket.startHandshake();
        return socket;
    }

    static String read(SSLSocket socket) throws Exception {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        socket.getInputStream().transferTo(all);
        return all.toString(StandardCharsets.US_ASCII);
    }

    static void write(OutputStream out, String text) throws Exception {
        out.write(text.getBytes(StandardCharsets.ISO_8859_1));
        out.flush();
    }

    /** Asks once: "ok", and how; or the error. */
    static String ask(String name, Consumer<SSLParameters> change) {
        try (SSLSocket socket = dial(context(), name, change)) {
            write(socket.getOutputStream(), REQUEST);
            String text = read(socket);
            return text.contains("200 OK") ? "ok " + socket.getSession().getProtocol() : "no answer: " + text;
        } catch (Exception error) {
            return "refused: " + error.getMessage();
        }
    }

    static String protocols(String... names) {
        return ask("localhost", (parameters) -> parameters.setProtocols(names));
    }

    static String suites(String... names) {
        return ask("localhost", (parameters) -> {
            parameters.setProtocols(new String[] {"TLSv1.2"});
            parameters.setCipherSuites(names);
        });
    }

    /** Each connection takes the session that the ones before have left: which began with an earlier one. */
    static List<Boolean> resumed(String version) throws Exception {
        SSLContext context = context();
        List<Boolean> all = new ArrayList<>();
        List<Long> made = new ArrayList<>();
        for (int i = 0; i < 5; i++) {
            try (SSLSocket socket = dial(context, "localhost", (parameters) -> parameters.setProtocols(new String[] {version}))) {
                write(socket.getOutputStream(), REQUEST);
                read(socket);
                SSLSession session = socket.getSession();
                all.add(made.contains(session.getCreationTime()));
                made.add(session.getCreationTime());
                Thread.sleep(20); /* or two would be made in one millisecond */
            }
        }
        return all;
    }

    /** Writes bytes that are no record, behind a good handshake: how the server ends the connection. */
    static String garbled(String bytes) throws Exception {
        Socket raw = new Socket("127.0.0.1", port);
        raw.setSoTimeout(20_000);
        SSLSocket socket = (SSLSocket) context().getSocketFactory().createSocket(raw, "localhost", port, false);
        socket.startHandshake();
        write(raw.getOutputStream(), bytes);
        try {
            return "ended, " + read(socket).length() + " bytes";
        } catch (java.net.SocketTimeoutException late) {
            return "still open";
        } catch (Exception error) {
            return "ended, 0 bytes";
        } finally {
            raw.close();
        }
    }

    /** Says that it is done before the answer comes. */
    static String halfClosed() {
        try (SSLSocket socket = dial(context(), "localhost", (parameters) -> {})) {
            write(socket.getOutputStream(), REQUEST.replace("Connection: close\r\n", ""));
            socket.shutdownOutput();
            String text = read(socket);
            return text.contains("200 OK") ? "ok" : text;
        } catch (Exception error) {
            return error.toString();
        }
    }

    static String protocol(String... offered) {
        try (SSLSocket socket = dial(context(), "localhost", (parameters) -> parameters.setApplicationProtocols(offered))) {
            return socket.getApplicationProtocol();
        } catch (Exception error) {
            return "refused: " + error.getMessage();
        }
    }

    /** Java's own client of HTTP: a stream over `version`, its first event behind a publish. */
    static String stream(HttpClient.Version version) throws Exception {
        HttpClient client = HttpClient.newBuilder().sslContext(context()).version(version).build();
        String base = "https://localhost:" + port + "/channels/java-" + version;
        HttpRequest post = HttpRequest.newBuilder(URI.create(base)).POST(HttpRequest.BodyPublishers.ofString("hello")).build();
        HttpResponse<Void> posted = client.send(post, HttpResponse.BodyHandlers.discarding());
        HttpRequest get = HttpRequest.newBuilder(URI.create(base + "?stream=sse&after=earliest")).timeout(Duration.ofSeconds(20)).build();
        HttpResponse<Stream<String>> answer = client.send(get, HttpResponse.BodyHandlers.ofLines());
        String line = answer.body().filter((text) -> text.startsWith("data:") && text.contains("hello")).findFirst().orElse("none");
        return answer.version() + " " + posted.statusCode() + " " + answer.statusCode() + " " + !line.equals("none");
    }

    /** Java's own WebSocket: the first event. */
    static String webSocket() throws Exception {
        CompletableFuture<String> heard = new CompletableFuture<>();
        WebSocket socket = HttpClient.newBuilder().sslContext(context()).build().newWebSocketBuilder()
            .buildAsync(URI.create("wss://localhost:" + port + "/channels/java-HTTP_2?after=earliest"), new WebSocket.Listener() {
                private final StringBuilder text = new StringBuilder();

                @Override
                public CompletionStage<?> onText(WebSocket webSocket, CharSequence part, boolean last) {
                    text.append(part);
                    if (last && text.indexOf("hello") >= 0)
                        heard.complete("ok");
                    if (last)
                        text.setLength(0);
                    webSocket.request(1);
                    return null;
                }

                @Override
                public void onError(WebSocket webSocket, Throwable error) {
                    heard.complete(error.toString());
                }
            }).get(20, TimeUnit.SECONDS);
        String got = heard.get(20, TimeUnit.SECONDS);
        socket.abort();
        return got;
    }

    static String json(Object value) {
        if (value instanceof List<?> list)
            return list.stream().map(TlsPeer::json).collect(Collectors.joining(",", "[", "]"));
        if (value instanceof Boolean)
            return value.toString();
        return '"' + String.valueOf(value).replace("\\", "\\\\").replace("\"", "\\\"").replaceAll("[\\r\\n]", " ") + '"';
    }

    public static void main(String[] arguments) throws Exception {
        port = Integer.parseInt(arguments[0]);
        authority = arguments[1];
        Security.setProperty("jdk.tls.disabledAlgorithms", ""); /* or the old versions would not be tried */
        String record = "\u0017\u0003\u0003\u0000\u0020" + "x".repeat(32);
        Map<String, Object> got = new LinkedHashMap<>();
        got.put("tls10", protocols("TLSv1"));
        got.put("tls11", protocols("TLSv1.1"));
        got.put("tls12", protocols("TLSv1.2"));
        got.put("tls13", protocols("TLSv1.3"));
        got.put("rsa_exchange", suites("TLS_RSA_WITH_AES_128_GCM_SHA256", "TLS_RSA_WITH_AES_128_CBC_SHA"));
        got.put("cbc", suites("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"));
        got.put("gcm", suites("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"));
        got.put("chacha", suites("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"));
        got.put("other_name", ask("other.example", (parameters) -> {}));
        got.put("resumed12", resumed("TLSv1.2"));
        got.put("resumed13", resumed("TLSv1.3"));
        got.put("garbage", garbled("GET / HTTP/1.1\r\n\r\n"));
        got.put("forged", garbled(record));
        got.put("half_closed", halfClosed());
        got.put("h2", protocol("h2", "http/1.1"));
        got.put("http1", protocol("http/1.1"));
        got.put("none", protocol());
        got.put("no_such_thing", protocol("spdy/3"));
        got.put("stream1", stream(HttpClient.Version.HTTP_1_1));
        got.put("stream2", stream(HttpClient.Version.HTTP_2));
        got.put("websocket", webSocket());
        System.out.println(got.entrySet().stream().map((each) -> json(each.getKey()) + ":" + json(each.getValue()))
            .collect(Collectors.joining(",", "{", "}")));
        System.exit(0); /* clients of HTTP have threads that stay */
    }
}
