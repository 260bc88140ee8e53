import { connect, createServer, type Server, type Socket } from "node:net";

/** Stands before the database, so that a test decides what becomes of connections. */
export class DatabaseProxy {
  /** What becomes of a new connection. */
  mode: "pass" | "refuse" = "pass";
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  static async before(database: { host: string; port: number }): Promise<DatabaseProxy> {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      if (proxy.mode === "refuse") return void socket.resetAndDestroy();
      const upstream = connect(database.port, database.host);
      upstream.on("error", () => socket.destroy());
      for (const end of [socket, upstream]) {
        proxy.sockets.add(end);
        end.on("close", () => proxy.sockets.delete(end));
      }
      socket.pipe(upstream).pipe(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const proxy = new DatabaseProxy(server, (server.address() as { port: number }).port);
    return proxy;
  }

  /** Cuts every connection, as a failover does. */
  cut(): void {
    for (const socket of this.sockets) socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
