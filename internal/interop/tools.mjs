// Points the tools that people use for a full node at a running taolight, and has them do what they are for.
//
//   node tools.mjs WS_URL
//
// Prints JSON lines: what tools.go calls a said. First @polkadot/api, then polkadot-api: heads, a storage value, a map, a
// runtime call, and a transfer from //Alice to //Bob or back that is followed until it is final.
import { ApiPromise, WsProvider, Keyring } from '@polkadot/api';
import { createClient } from 'polkadot-api';
import { getWsProvider } from 'polkadot-api/ws';
import { WebSocket } from 'ws'; // Node 20 has none of its own
import { getPolkadotSigner } from 'polkadot-api/signer';

const [url] = process.argv.slice(2);
const out = (o) => process.stdout.write(JSON.stringify(o, (_, v) => (typeof v === 'bigint' ? v.toString() : v)) + '\n');
const keyring = new Keyring({ type: 'sr25519' });
const alice = keyring.addFromUri('//Alice');
const bob = keyring.addFromUri('//Bob');

async function polkadotJs() {
  const tool = '@polkadot/api';
  const provider = new WsProvider(url);
  const api = await ApiPromise.create({ provider, noInitWarn: true });
  const [chain, name, version] = await Promise.all([api.rpc.system.chain(), api.rpc.system.name(), api.rpc.system.version()]);
  out({ tool, connected: `${chain} by ${name} ${version}, spec ${api.runtimeVersion.specVersion}` });

  for (const sub of ['subscribeFinalizedHeads', 'subscribeNewHeads', 'subscribeAllHeads']) {
    const heads = [];
    await new Promise((resolve, reject) => {
      api.rpc.chain[sub]((h) => {
        heads.push(h.number.toNumber());
        if (heads.length === 3) resolve();
      }).catch(reject);
    });
    out({ tool, heads, sub });
  }
  const hash = (await api.rpc.chain.getFinalizedHead()).toHex();
  const block = await api.rpc.chain.getBlock(hash);
  out({ tool, block: block.block.header.number.toNumber(), hash, root: block.block.header.stateRoot.toHex(), extrinsics: block.block.extrinsics.map((x) => x.toHex()) });
  const at = await api.at(hash);
  out({ tool, read: 'Timestamp.Now', key: at.query.timestamp.now.key(), value: (await at.query.timestamp.now()).toHex(true), hash });
  const entries = await at.query.system.account.entries();
  out({ tool, map: 'System.Account', prefix: api.query.system.account.keyPrefix(), keys: entries.map(([k]) => k.toHex()), hash });
  out({ tool, call: 'AccountNonceApi_account_nonce', value: (await at.call.accountNonceApi.accountNonce(alice.address)).toNumber(), hash });

  // A subscription to storage: what it is told after the transfer.
  let told = 0;
  const unsubscribe = await api.query.system.account(bob.address, () => told++);
  const free = (await api.query.system.account(bob.address)).data.free.toBigInt();
  const transfer = api.tx.balances.transferKeepAlive ?? api.tx.balances.transfer;
  const { partialFee } = await transfer(bob.address, 1_000_000_000).paymentInfo(alice);
  const seen = [];
  const final = await new Promise((resolve, reject) => {
    transfer(bob.address, 1_000_000_000)
      .signAndSend(alice, ({ status, dispatchError }) => {
        seen.push(status.type);
        if (dispatchError) reject(new Error(dispatchError.toString()));
        if (status.isInvalid || status.isDropped) reject(new Error(status.type));
        if (status.isFinalized) resolve(status.asFinalized.toHex());
      })
      .catch(reject);
  });
  const after = (await (await api.at(final)).query.system.account(bob.address)).data.free.toBigInt();
  out({ tool, sent: final, statuses: seen, moved: (after - free).toString(), fee: partialFee.toString(), told });
  unsubscribe();
  // One that the chain refuses: its error has to be the one that a full node gives.
  const refused = await transfer(bob.address, 1).signAndSend(alice, { nonce: 0 }).then(() => 'taken', (e) => e.message);
  out({ tool, refused });
  await api.disconnect();
}

async function papi() {
  const tool = 'polkadot-api';
  const client = createClient(getWsProvider(url, { websocketClass: WebSocket }));
  const { name } = await client.getChainSpecData();
  const api = client.getUnsafeApi();
  const version = await api.constants.System.Version();
  out({ tool, connected: `${name}, spec ${version.spec_version}` });
  const heads = [];
  await new Promise((resolve, reject) => {
    const s = client.finalizedBlock$.subscribe({
      next: (b) => {
        heads.push(b.number);
        if (heads.length === 3) {
          s.unsubscribe();
          resolve();
        }
      },
      error: reject,
    });
  });
  out({ tool, heads, sub: 'finalizedBlock$' });
  const block = await client.getFinalizedBlock();
  const body = await client.getBlockBody(block.hash);
  const header = await client.getBlockHeader(block.hash);
  out({ tool, block: block.number, hash: block.hash, root: header.stateRoot, extrinsics: body.map((x) => (typeof x === 'string' ? x : '0x' + Buffer.from(x).toString('hex'))) });
  const now = await api.query.Timestamp.Now.getValue({ at: block.hash });
  out({ tool, read: 'Timestamp.Now', number: now.toString(), hash: block.hash });
  const entries = await api.query.System.Account.getEntries({ at: block.hash });
  out({ tool, map: 'System.Account', count: entries.length, hash: block.hash });
  // Metadata of version 14 has no runtime APIs, so this one is called by its name.
  const account = '0x' + Buffer.from(alice.publicKey).toString('hex');
  const nonce = await client._request('state_call', ['AccountNonceApi_account_nonce', account, block.hash]);
  out({ tool, call: 'AccountNonceApi_account_nonce', value: Buffer.from(nonce.slice(2), 'hex').readUInt32LE(), hash: block.hash });

  // Watching a map asks of each block how its state commits to all below the map's prefix.
  let entriesSeen = 0;
  const changed = new Set();
  const watching = api.query.System.Account.watchEntries().subscribe((e) => {
    entriesSeen = Math.max(entriesSeen, e.entries.length);
    for (const u of e.deltas?.upserted ?? []) changed.add(u.args[0]);
  });
  const signer = getPolkadotSigner(bob.publicKey, 'Sr25519', (m) => bob.sign(m));
  const call = api.tx.Balances.transfer_keep_alive ?? api.tx.Balances.transfer;
  const seen = [];
  const tx = call({ dest: { type: 'Id', value: alice.address }, value: 1_000_000_000n });
  const final = await new Promise((resolve, reject) => {
    tx.signSubmitAndWatch(signer).subscribe({
      next: (e) => {
        seen.push(e.type);
        if (e.type === 'finalized') resolve(e);
      },
      error: reject,
    });
  });
  out({ tool, sent: final.block.hash, statuses: seen, ok: final.ok });
  for (let i = 0; i < 100 && !(changed.has(alice.address) && changed.has(bob.address)); i++) {
    await new Promise((r) => setTimeout(r, 100)); // it is told a block or so later
  }
  watching.unsubscribe();
  out({ tool, watched: entriesSeen, ok: changed.has(alice.address) && changed.has(bob.address) });
  client.destroy();
}

const only = process.argv[3];
if (!only || only === 'pjs') await polkadotJs();
if (!only || only === 'papi') await papi();
out({ done: true });
process.exit(0);
