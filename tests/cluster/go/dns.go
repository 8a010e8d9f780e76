package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	upstreamTimeout = 5 * time.Second
	tcpIdleTimeout  = 30 * time.Second
	maxInFlight     = 256
)

// serveDNS answers the names of the cluster's Services and hands every other question to the machine's resolvers. It
// does what Pods of the development cluster need of CoreDNS: A records of Services (also headless ones), over UDP and TCP.
func serveDNS() int {
	flags := flag.NewFlagSet("dns", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "credentials for the API server")
	listen := flags.String("listen", "127.0.0.1:53", "address to serve, UDP and TCP")
	domain := flags.String("domain", "cluster.local", "domain of the cluster")
	resolvConf := flags.String("resolv-conf", "/etc/resolv.conf", "file that names the resolvers for all other names")
	if err := flags.Parse(os.Args[1:]); err != nil {
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := runDNS(ctx, *kubeconfig, *listen, *domain, *resolvConf); err != nil {
		log.Println("dns:", err)
		return 1
	}
	return 0
}

func runDNS(ctx context.Context, kubeconfig, listen, domain, resolvConf string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.WarningHandler = rest.NoWarnings{} // Endpoints are deprecated, but they are all that system:kube-dns may read
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	zone := &zone{
		domain:    domain + ".",
		services:  factory.Core().V1().Services().Lister(),
		endpoints: factory.Core().V1().Endpoints().Lister(), //nolint:staticcheck // see above
	}
	factory.Start(ctx.Done())
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return fmt.Errorf("no list of %v", kind)
		}
	}
	return serve(ctx, listen, &responder{zone: zone, resolvConf: resolvConf})
}

func serve(ctx context.Context, listen string, answer *responder) error {
	packets, err := net.ListenPacket("udp", listen)
	if err != nil {
		return err
	}
	streams, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	log.Println("dns: serving", listen)
	failed := make(chan error, 2)
	go func() { failed <- serveUDP(packets, answer) }()
	go func() { failed <- serveTCP(streams, answer) }()
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

func serveUDP(packets net.PacketConn, answer *responder) error {
	slots := make(chan struct{}, maxInFlight)
	for {
		query := make([]byte, 4096)
		size, client, err := packets.ReadFrom(query)
		if err != nil {
			return err
		}
		slots <- struct{}{}
		go func() {
			defer func() { <-slots }()
			if reply := answer.reply("udp", query[:size]); reply != nil {
				_, _ = packets.WriteTo(reply, client) // a client that is gone asks again or does not care
			}
		}()
	}
}

func serveTCP(streams net.Listener, answer *responder) error {
	for {
		conn, err := streams.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			for {
				if conn.SetDeadline(time.Now().Add(tcpIdleTimeout)) != nil {
					return
				}
				query, err := readFrame(conn)
				if err != nil {
					return
				}
				reply := answer.reply("tcp", query)
				if reply == nil || writeFrame(conn, reply) != nil {
					return
				}
			}
		}()
	}
}
