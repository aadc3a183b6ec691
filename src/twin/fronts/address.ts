import type { Front, FrontWorld } from '../fronts.js';
import type { AddressClients } from '../types.js';

/** Clients that know an address alone, and take whoever answers there. */
export const addressFront = ({ address, port }: AddressClients, { dial }: FrontWorld): Front => ({
  send: (turn) => dial('outside', address, port, turn),
});
