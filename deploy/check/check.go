// Package check tests what is beside it in deploy: that Kubernetes, Prometheus
// and Grafana would take it, and that it fits the rest of the repository. It
// has a module of its own, so that nobody who uses muster downloads what these
// are read with, and reaches for no network and no cluster.
package check
