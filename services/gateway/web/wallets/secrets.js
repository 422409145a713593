// What a private key or a seed phrase looks like: such a text never leaves the browser. The server looks again, closer.

const BASE58 = "[1-9A-HJ-NP-Za-km-z]";
const SHAPES = [
  /(?<![0-9a-f])(?:[0-9a-f]{64}|[0-9a-f]{128})(?![0-9a-f])/i,
  new RegExp(`(?<!${BASE58})${BASE58}{64,90}(?!${BASE58})`),
  new RegExp(`(?<!${BASE58})(?:5${BASE58}{50}|[KL]${BASE58}{51})(?!${BASE58})`),
  /[A-Za-z]prv[0-9A-Za-z]{100,}/,
  /(?<![0-9A-Za-z+/_-])[0-9A-Za-z+/_-]{85}[AQgw]/,
  /-\s?(?:BEGIN|END) (?:[A-Z0-9]+ )*PRIVATE KEY/i,
  // The file of a Solana key: 64 numbers.
  /\[\s*(?:\d{1,3}\s*,\s*){31,}\d{1,3}\s*\]/,
];
// Twelve words and more, as a phrase is written: nobody calls a wallet so.
const PHRASE = /(?<![a-z])(?:[a-z]{3,8}[\s,;]+){11,}[a-z]{3,8}(?![a-z])/i;

export const REFUSED = "This looks like a private key or a seed phrase. It was not sent, and is gone from this page. Sonic needs the public address only; whoever holds the key can take everything.";

export function looksSecret(text) {
  const plain = text.normalize("NFKC").replace(/[\u200b-\u200f\u2060\ufeff\u00ad]/g, "");
  return SHAPES.some((shape) => shape.test(plain)) || PHRASE.test(plain);
}

/** Empties a field of a form as soon as a secret stands in it, and says so by `told`. */
export function guard(node, told) {
  node.addEventListener("input", (event) => {
    const input = event.target;
    if (typeof input.value !== "string" || !looksSecret(input.value)) return;
    input.value = "";
    event.stopImmediatePropagation();
    told(REFUSED);
  }, true);
}

const ADDRESSES = {
  CHAIN_SOLANA: [new RegExp(`^${BASE58}{32,44}$`), "is no Solana address: 32 to 44 letters and digits without 0, O, I and l", "Solana"],
  CHAIN_DYDX: [/^dydx1[02-9ac-hj-np-z]{38,58}$/i, "is no dYdX address: it starts with dydx1", "dYdX"],
  CHAIN_ETHEREUM: [/^0x[0-9a-f]{40}$/i, "is no 0x address: 0x and 40 digits 0 to 9, a to f", "Ethereum, Hyperliquid"],
};

/** What is wrong with the shape of an address, or nothing; the checksum is the server's to judge. */
export function checkAddress(chain, address) {
  const rule = ADDRESSES[chain];
  if (!rule) return address ? "must be empty for a wallet without a chain" : undefined;
  if (!address) return "is needed: the public address";
  if (rule[0].test(address)) return undefined;
  const fitting = Object.values(ADDRESSES).find(([shape]) => shape.test(address));
  return fitting ? `is an address of another chain: choose ${fitting[2]}` : rule[1];
}
