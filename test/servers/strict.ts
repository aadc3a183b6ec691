import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { ControlPlane } from './control-plane.js';

export interface StrictDoor {
  /** `http://127.0.0.1:PORT` */
  url: string;
  /** how many of them there are */
  count(): number;
  /** writes that went through since it was last asked, as `PATCH /apis/...` */
  writes(): string[];
  stop(): Promise<void>;
}

/** A way to an API server on which every write asks for strict validation: a field that the server does not know is an error. */
export async function strictDoor(plane: ControlPlane): Promise<StrictDoor> {
  const ca = readFileSync(plane.caFile);
  const base = new URL(plane.server);
  const writes: string[] = [];
  const pass = (from: IncomingMessage, to: ServerResponse): void => {
    const url = new URL(from.url ?? '/', base);
    const { method = 'GET' } = from;
    if (method !== 'GET' && !url.pathname.endsWith('reviews')) {
      if (method !== 'DELETE') url.searchParams.set('fieldValidation', 'Strict');
      writes.push(`${method} ${url.pathname}`);
    }
    const { host: _, ...headers } = from.headers;
    const onward = request(url, { method, headers, ca }, (reply) => {
      to.writeHead(reply.statusCode ?? 502, reply.headers);
      reply.pipe(to);
    });
    onward.on('error', () => to.destroy());
    from.pipe(onward);
  };
  const server = createServer(pass);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    count: () => writes.length,
    writes: () => writes.splice(0),
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
