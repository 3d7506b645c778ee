// Joins a network with a stock smoldot, follows its finalized heads and reads storage by proof.
//
//   node follow.mjs SPEC.json HEADS EXTRINSIC PREFIX KEY…
//
// Prints JSON lines: what main.go calls a line. At the first of HEADS finalized heads it sends EXTRINSIC,
// and at the last it reads each KEY, lists the keys under PREFIX and makes runtime calls.
import { readFileSync } from 'node:fs';
import { start } from 'smoldot';

const [specFile, heads, extrinsic, prefix, ...keys] = process.argv.slice(2);
const out = (o) => process.stdout.write(JSON.stringify(o) + '\n');

// The client says at level 4 why it does what it does.
const client = start({
  maxLogLevel: 4,
  logCallback: (level, target, message) => {
    let m;
    if ((m = /^GrandPa warp sync finished to #(\d+)/.exec(message))) out({ warp: Number(m[1]) });
    else if ((m = /^warp-sync-request-success;.* num_fragments=(\d+)/.exec(message))) out({ fragments: Number(m[1]) });
    else if (/^slot-unassigned;.*reason=user-ban/.test(message)) out({ ban: /user_reason=([^,]*)/.exec(message)?.[1] ?? message });
    else if (level <= 3 && !/occupied the CPU|legacy JSON-RPC/.test(message)) out({ log: message, level });
  },
});
const chain = await client.addChain({ chainSpec: readFileSync(specFile, 'utf8') });

let nextId = 1;
const waiting = new Map();
const subscriptions = new Map();
const early = new Map(); // notifications that came before the answer with their subscription's name
const request = (method, params = []) =>
  new Promise((resolve, reject) => {
    const id = nextId++;
    waiting.set(id, { method, resolve, reject });
    chain.sendJsonRpc(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
  });

(async () => {
  for (;;) {
    const m = JSON.parse(await chain.nextJsonRpcResponse());
    if (m.id !== undefined) {
      const w = waiting.get(m.id);
      waiting.delete(m.id);
      if (m.error) w.reject(new Error(`${w.method}: ${JSON.stringify(m.error)}`));
      else w.resolve(m.result);
    } else {
      const { subscription, result } = m.params;
      const f = subscriptions.get(subscription);
      if (f) f(result);
      else early.set(subscription, [...(early.get(subscription) ?? []), result]);
    }
  }
})().catch(() => {});

let count = 0;
let first;
await new Promise((resolve, reject) => {
  const head = ({ number, stateRoot, parentHash }) => {
    if (first === undefined) {
      first = Number(number);
      request('author_submitExtrinsic', [extrinsic]).then((sent) => out({ sent }), reject);
    }
    out({ finalized: Number(number), stateRoot, parentHash });
    if (++count === Number(heads)) resolve();
  };
  request('chain_subscribeFinalizedHeads').then((id) => {
    subscriptions.set(id, head);
    for (const h of early.get(id) ?? []) head(h);
  }, reject);
});

const hash = await request('chain_getFinalizedHead');
const number = Number((await request('chain_getHeader', [hash])).number);
for (const storage of keys) {
  out({ storage, value: await request('state_getStorage', [storage, hash]), hash, number });
}
out({ prefix, keys: await request('state_getKeysPaged', [prefix, 1000, null, hash]), hash, number });
const alice = '0xd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d';
for (const [call, args] of [
  ['AuraApi_slot_duration', '0x'],
  ['AuraApi_authorities', '0x'],
  ['GrandpaApi_grandpa_authorities', '0x'],
  ['GrandpaApi_current_set_id', '0x'],
  ['AccountNonceApi_account_nonce', alice],
  ['SubnetInfoRuntimeApi_get_subnets_info', '0x'], // walks over the subnets
  ['Core_version', '0x'],
]) {
  out({ call, args, value: await request('state_call', [call, args, hash]), hash });
}
const version = await request('state_getRuntimeVersion', [hash]);
const { peers } = await request('system_health');
out({ version: `${version.specName}/${version.specVersion}`, peers });
out({ done: true, first, last: number });
await client.terminate().catch(() => {});
process.exit(0);
