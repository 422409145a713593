// Files to and from the person's machine, by the browser's own means.

const LARGEST_BYTES = 1024 * 1024;

/** Offers a text as a file. */
export function save(name, text, type = "application/json") {
  const address = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

/** Asks for a file; resolves with {name, text}, or null when none was chosen. */
export function pick(accept) {
  return new Promise((resolve, reject) => {
    const input = document.createElement("input");
    input.type = "file";
    input.accept = accept;
    input.addEventListener("cancel", () => resolve(null));
    input.addEventListener("change", async () => {
      const [file] = input.files;
      if (!file) return resolve(null);
      if (file.size > LARGEST_BYTES) return reject(new Error(`${file.name} is larger than 1 MiB`));
      resolve({ name: file.name, text: await file.text() });
    });
    input.click();
  });
}

/** A text as base64, as a field of bytes wants it. */
export function base64(text) {
  const bytes = new TextEncoder().encode(text);
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

export const fromBase64 = (text) => new TextDecoder().decode(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)));
