package main

import (
	"net"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
	corev1 "k8s.io/api/core/v1"
	listers "k8s.io/client-go/listers/core/v1"
)

const recordTTL = 5 // seconds, as CoreDNS

// zone knows the names below the cluster's domain.
type zone struct {
	domain    string // with a dot at its end
	services  listers.ServiceLister
	endpoints listers.EndpointsLister //nolint:staticcheck // what the role system:kube-dns may read
}

// has tells whether the zone answers for the name at all.
func (z *zone) has(name string) bool {
	name = strings.ToLower(name)
	return name == z.domain || strings.HasSuffix(name, "."+z.domain)
}

// answer looks the question up. known is false where nothing has the name (NXDOMAIN); a known name without addresses of
// the wanted type has no records (NODATA).
func (z *zone) answer(question dnsmessage.Question) (records []dnsmessage.Resource, known bool) {
	addresses, known := z.lookup(question.Name.String())
	if question.Type != dnsmessage.TypeA {
		return nil, known
	}
	header := dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: recordTTL}
	for _, address := range addresses {
		four := net.ParseIP(address).To4()
		if four != nil {
			records = append(records, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: [4]byte(four)}})
		}
	}
	return records, known
}

// lookup resolves SERVICE.NAMESPACE.svc.DOMAIN and, for headless Services, HOSTNAME.SERVICE.NAMESPACE.svc.DOMAIN.
func (z *zone) lookup(name string) (addresses []string, known bool) {
	name = strings.ToLower(name)
	if name == z.domain || name == "svc."+z.domain {
		return nil, true
	}
	inner, isService := strings.CutSuffix(name, ".svc."+z.domain)
	if !isService {
		return nil, false
	}
	labels := strings.Split(inner, ".")
	switch len(labels) {
	case 2:
		return z.service(labels[1], labels[0], "")
	case 3:
		return z.service(labels[2], labels[1], labels[0])
	}
	return nil, false
}

func (z *zone) service(namespace, name, hostname string) (addresses []string, known bool) {
	service, err := z.services.Services(namespace).Get(name)
	if err != nil {
		return nil, false
	}
	if service.Spec.ClusterIP != corev1.ClusterIPNone {
		return []string{service.Spec.ClusterIP}, hostname == ""
	}
	addresses = z.members(namespace, name, hostname, service.Spec.PublishNotReadyAddresses)
	return addresses, hostname == "" || len(addresses) > 0
}

func (z *zone) members(namespace, name, hostname string, unready bool) (addresses []string) {
	endpoints, err := z.endpoints.Endpoints(namespace).Get(name)
	if err != nil {
		return nil
	}
	for _, subset := range endpoints.Subsets {
		members := subset.Addresses
		if unready {
			members = append(members[:len(members):len(members)], subset.NotReadyAddresses...)
		}
		for _, member := range members {
			if hostname == "" || hostname == member.Hostname {
				addresses = append(addresses, member.IP)
			}
		}
	}
	return addresses
}
