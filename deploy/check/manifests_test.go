package check

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	network "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/yaml"
	yamls "sigs.k8s.io/yaml"
)

const manifests = "../kubernetes"

// decode returns the objects in the manifests by file and place, as Kubernetes
// reads them: what it does not know, or knows as something else, is an error.
func decode(t *testing.T) map[string]runtime.Object {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{apps.AddToScheme, core.AddToScheme, network.AddToScheme, policy.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	decoder := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{Yaml: true, Strict: true})
	files, err := filepath.Glob(manifests + "/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d files, %v", len(files), err)
	}
	all := map[string]runtime.Object{}
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" {
			continue
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		parts := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(b)))
		for i := 0; ; i++ {
			part, err := parts.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			name := fmt.Sprintf("%s[%d]", filepath.Base(file), i)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			object, _, err := decoder.Decode(part, nil, nil)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			all[name] = object
		}
	}
	return all
}

// pods returns the templates of pods in the manifests, by name.
func pods(all map[string]runtime.Object) map[string]core.PodTemplateSpec {
	out := map[string]core.PodTemplateSpec{}
	for _, o := range all {
		switch o := o.(type) {
		case *apps.StatefulSet:
			out[o.Name] = o.Spec.Template
		case *apps.Deployment:
			out[o.Name] = o.Spec.Template
		}
	}
	return out
}

func TestEveryManifestIsAppliedAndIsWhatKubernetesReads(t *testing.T) {
	all := decode(t)
	b, err := os.ReadFile(manifests + "/kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var k struct {
		meta.TypeMeta `json:",inline"`
		Namespace     string              `json:"namespace"`
		Resources     []string            `json:"resources"`
		Images        []map[string]string `json:"images"`
	}
	if err := yamls.UnmarshalStrict(b, &k); err != nil {
		t.Fatal(err)
	}
	var files []string
	for name := range all {
		file, _, _ := strings.Cut(name, "[")
		files = append(files, file)
	}
	slices.Sort(files)
	slices.Sort(k.Resources)
	if files = slices.Compact(files); !slices.Equal(files, k.Resources) {
		t.Errorf("kustomization.yaml names %v, and there are %v", k.Resources, files)
	}
}

func TestWhatSelectsPodsFindsSome(t *testing.T) {
	all := decode(t)
	templates := pods(all)
	finds := func(what string, selector *meta.LabelSelector, want ...string) {
		t.Helper()
		s, err := meta.LabelSelectorAsSelector(selector)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			return
		}
		var got []string
		for _, name := range slices.Sorted(maps.Keys(templates)) {
			if s.Matches(labels.Set(templates[name].Labels)) {
				got = append(got, name)
			}
		}
		if len(want) > 0 && !slices.Equal(got, want) || len(got) == 0 {
			t.Errorf("%s selects %v, want %v", what, got, want)
		}
	}
	for name, o := range all {
		switch o := o.(type) {
		case *apps.StatefulSet:
			finds(name, o.Spec.Selector, o.Name)
		case *apps.Deployment:
			finds(name, o.Spec.Selector, o.Name)
		case *policy.PodDisruptionBudget:
			finds(name, o.Spec.Selector, o.Name)
		case *core.Service:
			finds(name, &meta.LabelSelector{MatchLabels: o.Spec.Selector}, "muster-server")
		case *network.NetworkPolicy:
			finds(name, &o.Spec.PodSelector, slices.Sorted(maps.Keys(templates))...)
		}
	}
	for name, p := range templates {
		for _, c := range p.Spec.TopologySpreadConstraints {
			finds(name, c.LabelSelector, name)
		}
	}
}

func TestPortsVolumesAndSecretsOfPodsAreThere(t *testing.T) {
	all := decode(t)
	ports := map[string]bool{}
	for name, p := range pods(all) {
		volumes := map[string]bool{}
		for _, v := range p.Spec.Volumes {
			volumes[v.Name] = true
		}
		for _, o := range all {
			if s, ok := o.(*apps.StatefulSet); ok && s.Name == name {
				for _, claim := range s.Spec.VolumeClaimTemplates {
					volumes[claim.Name] = true
				}
			}
		}
		c := p.Spec.Containers[0]
		for _, m := range c.VolumeMounts {
			if !volumes[m.Name] {
				t.Errorf("%s mounts %s, which it has not", name, m.Name)
			}
		}
		here := map[string]bool{}
		for _, port := range c.Ports {
			ports[port.Name], here[port.Name] = true, true
			if flag := map[string]string{"gossip": "gossip", "rpc": "rpc", "metrics": "metrics"}[port.Name]; flag != "" {
				if want := fmt.Sprintf("0.0.0.0:%d", port.ContainerPort); value(c.Args, flag) != want {
					t.Errorf("%s: got --%s=%s, want %s as the port says", name, flag, value(c.Args, flag), want)
				}
			}
		}
		for _, probe := range []*core.Probe{c.LivenessProbe, c.ReadinessProbe} {
			if probe == nil || probe.HTTPGet == nil || !here[probe.HTTPGet.Port.StrVal] {
				t.Errorf("%s: got the probe %v, want one of a port that it has", name, probe)
			}
		}
	}
	named := func(what string, port intstr.IntOrString) {
		if !ports[port.StrVal] {
			t.Errorf("%s names the port %s, which no pod has", what, port.String())
		}
	}
	for name, o := range all {
		switch o := o.(type) {
		case *core.Service:
			for _, p := range o.Spec.Ports {
				named(name, p.TargetPort)
			}
		case *network.NetworkPolicy:
			for _, rule := range o.Spec.Ingress {
				for _, p := range rule.Ports {
					named(name, *p.Port)
				}
			}
		}
	}
}

// value returns what args give a flag.
func value(args []string, flag string) string {
	for _, a := range args {
		if v, ok := strings.CutPrefix(a, "--"+flag+"="); ok {
			return v
		}
	}
	return ""
}

func TestServersFindEachOther(t *testing.T) {
	for name, o := range decode(t) {
		s, ok := o.(*apps.StatefulSet)
		if !ok {
			continue
		}
		args := s.Spec.Template.Spec.Containers[0].Args
		if got := value(args, "servers"); got != fmt.Sprint(*s.Spec.Replicas) {
			t.Errorf("%s: got --servers=%s of %d replicas", name, got, *s.Spec.Replicas)
		}
		if s.Spec.PodManagementPolicy != apps.ParallelPodManagement {
			t.Errorf("%s: the first waits for the second, which is not there before it is ready", name)
		}
		var join []string
		for i := range *s.Spec.Replicas {
			join = append(join, fmt.Sprintf("%s-%d.%s:7946", s.Name, i, s.Spec.ServiceName))
		}
		for of, p := range pods(decode(t)) {
			if got := value(p.Spec.Containers[0].Args, "join"); got != strings.Join(join, ",") {
				t.Errorf("%s: got --join=%s, want %s", of, got, strings.Join(join, ","))
			}
		}
	}
}

func TestAStopHasTheTimeThatItTakes(t *testing.T) {
	for name, p := range pods(decode(t)) {
		c := p.Spec.Containers[0]
		drain, err := time.ParseDuration(value(c.Lifecycle.PreStop.Exec.Command, "timeout"))
		if err != nil {
			t.Errorf("%s: preStop: --timeout: %v", name, err)
		}
		grace, err := time.ParseDuration(value(c.Args, "grace"))
		if err != nil {
			t.Errorf("%s: --grace: %v", name, err)
		}
		if has := time.Duration(*p.Spec.TerminationGracePeriodSeconds) * time.Second; has < drain+grace+10*time.Second {
			t.Errorf("%s is killed after %v, and draining takes up to %v and the stop up to %v", name, has, drain, grace)
		}
	}
}

func TestPodsAreAllowedNothingThatTheyDoNotNeed(t *testing.T) {
	for name, p := range pods(decode(t)) {
		c := p.Spec.Containers[0]
		s, pod := c.SecurityContext, p.Spec.SecurityContext
		if p.Spec.AutomountServiceAccountToken == nil || *p.Spec.AutomountServiceAccountToken || !*pod.RunAsNonRoot ||
			*s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || !slices.Contains(s.Capabilities.Drop, "ALL") {
			t.Errorf("%s has rights that it does not need: %+v, %+v", name, pod, s)
		}
		if c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero() {
			t.Errorf("%s does not say how much memory it takes", name)
		}
	}
}
