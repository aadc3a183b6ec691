import type { Programs } from '../ports.js';
import type { Twin } from '../twin/twin.js';

interface Question {
  verb: string;
  service: string;
  weights?: { source: number; target: number };
}

/**
 * In a rehearsal no program of the operator's is run: it would move real traffic. In its place stands a balancer that does at once what it
 * is told, and the virtual clients that come in by it.
 */
export function rehearsedPrograms({ clients }: Pick<Twin, 'clients'>): Programs {
  const known = new Map<string, { joined: boolean; weights: { source: number; target: number } }>();
  return {
    run(_command, question) {
      const { verb, service, weights } = question as Question;
      // What a database's program is told has nothing to do with shares.
      if (typeof service !== 'string') return Promise.resolve('{}');
      const state = known.get(service) ?? { joined: false, weights: { source: 100, target: 0 } };
      if (verb === 'join') state.joined = true;
      if (verb === 'unjoin') state.joined = false;
      if (verb === 'write' && weights) state.weights = weights;
      known.set(service, state);
      clients.balance(service, state.weights);
      return Promise.resolve(JSON.stringify(verb === 'read' ? state : {}));
    },
  };
}
