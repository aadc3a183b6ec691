import type { AnyRouter, Routers } from '../router.js';
import { clb } from './clb.js';
import { dns } from './dns.js';

const ALL: readonly AnyRouter[] = [clb, dns];

/** Every router, by its name in playbooks and plans. */
export const routers: Routers = new Map(ALL.map((it) => [it.name, it]));
