/**
 * node --import ./scripts/untracked.js --test ...
 *
 * The test runner follows every promise and handle, to name the test from which an error escaped (node:lib/internal/test_runner/harness.js,
 * createHook with init and destroy). Where whole clusters run in one process that is up to a quarter of the time. Without it such an error
 * still fails its file, with its message; `node --test FILE` names the test.
 */
import hooks from 'node:async_hooks';

const { createHook } = hooks;
const inert = { enable: () => inert, disable: () => inert };
hooks.createHook = () => inert;
// It takes its createHook when it is loaded.
await import('node:test');
hooks.createHook = createHook;
