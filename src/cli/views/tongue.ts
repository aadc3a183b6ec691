import { count } from '../../words.js';

/** The words of live views and of the last lines, in both languages. */
export type Lang = 'en' | 'zh';

export interface Tongue {
  source: string;
  target: string;
  asked: string;
  reachable: string;
  measured: string;
  members(n: number, weight: number): string;
  requests(sent: string, failed: string): string;
  gates: string;
  holding: string;
  held(elapsed: string, all: string, left: string): string;
  untilGates: string;
  next: string;
  back: string;
  percent(share: string): string;
  last: string;
  backTo(share: string): string;
  allTheWay: string;
  ctrlC: string;
  steps(done: number, all: number): string;
  more(n: number): string;
  undoing: string;
  duration: readonly [h: string, min: string, s: string];
  outcome: Record<'done' | 'refused' | 'stopped' | 'waiting' | 'interrupted' | 'failed', string>;
  labels: Record<'why' | 'do' | 'now' | 'requests' | 'share' | 'world' | 'saved' | 'next' | 'back', string>;
}

const en: Tongue = {
  source: 'source',
  target: 'target',
  asked: 'asked',
  reachable: 'reachable',
  measured: 'measured',
  members: (n, weight) => `${count(n, 'member')}, weight ${weight}`,
  requests: (sent, failed) => `${sent} requests, ${failed} failed`,
  gates: 'gates',
  holding: 'holding',
  held: (elapsed, all, left) => `${elapsed} of ${all}, ${left} left`,
  untilGates: '; goes on as soon as every gate has passed',
  next: 'next',
  back: 'back',
  percent: (share) => `${share} %`,
  last: 'this is the last share',
  backTo: (share) => `a gate that breaks goes to ${share} % by itself`,
  allTheWay: 'migrate rollback goes all the way',
  ctrlC: 'Ctrl-C stops after this hold',
  steps: (done, all) => `${done} of ${count(all, 'step')} done`,
  more: (n) => `and ${n} more under way`,
  undoing: 'undo',
  duration: [' h', ' min', ' s'],
  outcome: {
    done: 'done',
    refused: 'refused',
    stopped: 'stopped midway',
    waiting: 'waiting',
    interrupted: 'interrupted at a safe point',
    failed: 'failed',
  },
  labels: {
    why: 'why',
    do: 'do',
    now: 'now',
    requests: 'requests',
    share: 'share',
    world: 'world',
    saved: 'saved',
    next: 'next',
    back: 'back',
  },
};

const zh: Tongue = {
  source: '源侧',
  target: '目标侧',
  asked: '要求',
  reachable: '可达',
  measured: '实测',
  members: (n, weight) => `${n} 个后端，权重 ${weight}`,
  requests: (sent, failed) => `${sent} 个请求，${failed} 个失败`,
  gates: '门禁',
  holding: '观察',
  held: (elapsed, all, left) => `已 ${elapsed}，共 ${all}，剩余 ${left}`,
  untilGates: '；全部门禁通过后立即继续',
  next: '下一步',
  back: '回退',
  percent: (share) => `${share} %`,
  last: '这是最后一档',
  backTo: (share) => `门禁失败时自动回到 ${share} %`,
  allTheWay: 'migrate rollback 全部回退',
  ctrlC: 'Ctrl-C 在本次观察后停止',
  steps: (done, all) => `已完成 ${done}/${all} 步`,
  more: (n) => `另有 ${n} 个正在进行`,
  undoing: '撤销',
  duration: [' 小时', ' 分', ' 秒'],
  outcome: {
    done: '完成',
    refused: '已拒绝',
    stopped: '中途停止',
    waiting: '等待中',
    interrupted: '已在安全点中断',
    failed: '失败',
  },
  labels: {
    why: '原因',
    do: '处理',
    now: '现状',
    requests: '请求',
    share: '比例',
    world: '环境',
    saved: '已保存',
    next: '下一步',
    back: '回退',
  },
};

export const tongues: Record<Lang, Tongue> = { en, zh };

/** As `spell` of words.ts, in the units of the language; whole seconds. */
export function spelled(ms: number, { duration: [hour, minute, second] }: Tongue): string {
  const total = Math.max(0, Math.round(ms / 1000));
  const [h, min, s] = [Math.floor(total / 3600), Math.floor((total % 3600) / 60), total % 60];
  return [h && `${h}${hour}`, min && `${min}${minute}`, (s || total === 0) && `${s}${second}`]
    .filter(Boolean)
    .join(' ');
}
