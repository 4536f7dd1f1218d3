// A TCP proxy whose connections a test can cut: what a bad network does to a client.

import net from "node:net";

const GET = Buffer.from("GET ");

/** Listens on a loopback port of its own and forwards to the server's; ends with the server. */
export async function startProxy(server) {
    const pairs = new Set();
    const listener = net.createServer((client) => {
        if (proxy.isAway) {
            client.destroy();
            return;
        }
        const upstream = net.connect({ host: "127.0.0.1", port: server.port });
        const pair = { client, upstream };
        pairs.add(pair);
        const drop = () => {
            client.destroy();
            upstream.destroy();
            pairs.delete(pair);
        };
        for (const socket of [client, upstream]) {
            socket.on("error", drop);
            socket.on("close", drop);
        }
        client.on("data", (bytes) => (proxy.gets += bytes.subarray(0, 4).equals(GET) ? 1 : 0));
        upstream.on("data", (bytes) => (proxy.gzips += bytes.includes("Content-Encoding: gzip") ? 1 : 0));
        client.pipe(upstream);
        upstream.pipe(client);
    });
    await new Promise((resolve) => listener.listen(0, "127.0.0.1", resolve));
    const proxy = {
        port: listener.address().port,
        url: `http://127.0.0.1:${listener.address().port}`,
        connections: () => pairs.size,
        isAway: false, /* whoever comes meanwhile is sent away */
        gets: 0, /* GET requests that have passed */
        gzips: 0, /* answers that were compressed */
        /** Cuts every connection, as a network does that goes away. */
        cut() {
            for (const { client, upstream } of pairs) {
                client.destroy();
                upstream.destroy();
            }
            pairs.clear();
        },
    };
    server.onStop(() => {
        proxy.cut();
        listener.close();
    });
    return proxy;
}
