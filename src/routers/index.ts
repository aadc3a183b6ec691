import type { AnyRouter, Routers } from '../router.js';
import { clb } from './clb.js';
import { dns } from './dns.js';
import { exec } from './exec.js';
import { fsm } from './fsm.js';
import { gateway } from './gateway.js';
import { ingress } from './ingress.js';
import { istio } from './istio.js';
import { mcs } from './mcs.js';
import { nlb } from './nlb.js';

const ALL: readonly AnyRouter[] = [clb, dns, exec, fsm, gateway, ingress, istio, mcs, nlb];

/** Every router, by its name in playbooks and plans. */
export const routers: Routers = new Map(ALL.map((it) => [it.name, it]));
