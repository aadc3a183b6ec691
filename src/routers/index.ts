import type { AnyRouter, Routers } from '../router.js';
import { clb } from './clb.js';

const ALL: readonly AnyRouter[] = [clb];

/** Every router, by its name in playbooks and plans. */
export const routers: Routers = new Map(ALL.map((it) => [it.name, it]));
