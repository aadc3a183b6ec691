import type { Check } from '../../src/check.js';
import { balanced, isToBeHandedOver } from '../fronts.js';

/**
 * Round robin (`rr`) gives every member of a group the same, whatever its weight. The controller sets it on listeners that
 * it makes, although the cloud's own default is `wrr`, so a listener that was once made by a controller has it.
 *
 * @source kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/clbv1/listeners.go
 * @source aliyun/aliyun-openapi-meta:en-US/slb/CreateLoadBalancerTCPListener.json
 */
export const listenerScheduler: Check = {
  id: 'listener-scheduler',
  group: 'load-balancing',
  asks: 'Does every shared listener share by weight?',
  before: 'traffic',
  severity: 'refuse',
  when: ['cloud', 'traffic'],
  reads: { source: ['Service'], target: ['Service'], cloud: true },
  takes: { Service: 'named' },
  hint: {
    why: 'Under rr, sch and tch a weight above 0 changes nothing: each member gets the same, and the first step already sends the target its full part by head count.',
    fix: 'Set the scheduler of the listener to wrr: console or SetLoadBalancerTCPListenerAttribute with Scheduler=wrr (UDP, HTTP and HTTPS alike). Open connections stay.',
  },
  zh: {
    asks: '每个共享监听是否按权重调度？',
    why: '在 rr、sch、tch 调度下，大于 0 的权重不起作用，后端各得一份；第一步就会把按后端个数计算的流量全部切到目标集群。',
    fix: '把监听的调度算法改为 wrr：在控制台修改，或调用 SetLoadBalancerTCPListenerAttribute 并传 Scheduler=wrr（UDP、HTTP、HTTPS 同理）。已有连接不受影响。',
  },
  sources: [
    'kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/clbv1/listeners.go',
    'aliyun/aliyun-openapi-meta:en-US/slb/CreateLoadBalancerTCPListener.json',
    'aliyun/alibabacloud-typescript-sdk:nlb-20220430/src/models/UpdateServerGroupAttributeRequest.ts',
  ],

  look: (sight) =>
    balanced(sight).flatMap((front) => {
      const { balancer, listener } = front;
      // Taking the load balancer over sets it.
      if (!listener || WEIGHTED.includes(listener.scheduler) || isToBeHandedOver(front)) return [];
      return [
        {
          about: `listener ${balancer.id}:${listener.port}`,
          saw: `scheduler ${listener.scheduler}`,
          want: 'wrr or wlc',
          breaks: 'every step of the shift',
          ...OF_GROUP[front.asked.router],
        },
      ];
    }),
};

const WEIGHTED = ['wrr', 'wlc'];

/** An NLB keeps it with the server group. */
const OF_GROUP = {
  clb: {},
  nlb: { fix: 'Set the scheduler of the server group to Wrr: console or UpdateServerGroupAttribute.' },
};
