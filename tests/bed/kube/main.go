// The three Kubernetes servers and clients that the test bed needs, in one binary picked by its first argument:
//
//	bedkube apiserver FLAGS…   a real kube-apiserver
//	bedkube etcd FLAGS…        a real etcd (flags: --data-dir, --client, --peer)
//	bedkube kubectl ARGS…      a real kubectl, the rival in benchmarks and a second opinion in tests
package main

import (
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: bedkube apiserver|etcd|kubectl ARGS…")
		os.Exit(2)
	}
	role := os.Args[1]
	os.Args = append([]string{role}, os.Args[2:]...)
	switch role {
	case "apiserver":
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case "kubectl":
		os.Args[0] = "kubectl"
		os.Exit(cli.Run(kubectl.NewDefaultKubectlCommand()))
	case "etcd":
		runEtcd()
	default:
		fmt.Fprintf(os.Stderr, "bedkube: no part named %q\n", role)
		os.Exit(2)
	}
}

func runEtcd() {
	flags := flag.NewFlagSet("etcd", flag.ExitOnError)
	dir := flags.String("data-dir", "", "folder of the data")
	client := flags.String("client", "http://127.0.0.1:2379", "URL for clients")
	peer := flags.String("peer", "http://127.0.0.1:2380", "URL for peers")
	_ = flags.Parse(os.Args[1:])
	config := embed.NewConfig()
	config.Dir = *dir
	config.LogLevel = "error"
	config.UnsafeNoFsync = true
	config.ListenClientUrls = []url.URL{mustURL(*client)}
	config.AdvertiseClientUrls = config.ListenClientUrls
	config.ListenPeerUrls = []url.URL{mustURL(*peer)}
	config.AdvertisePeerUrls = config.ListenPeerUrls
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	server, err := embed.StartEtcd(config)
	if err != nil {
		fmt.Fprintln(os.Stderr, "etcd:", err)
		os.Exit(1)
	}
	<-server.Server.ReadyNotify()
	fmt.Println("ready")
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	select {
	case <-signals:
		server.Close()
	case err := <-server.Err():
		fmt.Fprintln(os.Stderr, "etcd:", err)
		os.Exit(1)
	}
}

func mustURL(text string) url.URL {
	parsed, err := url.Parse(text)
	if err != nil {
		fmt.Fprintln(os.Stderr, "etcd:", err)
		os.Exit(2)
	}
	return *parsed
}
