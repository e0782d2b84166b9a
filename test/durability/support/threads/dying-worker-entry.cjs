/** As the store's own entry: a thread that ends while `require` loads an ES module can take the process down (Node 20). */
const worker = import('./dying-worker.mjs')

// oxlint-disable-next-line import/no-commonjs -- see above
module.exports = worker.then((loaded) => loaded.default)
