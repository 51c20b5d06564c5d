package access

import (
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/musterhq/muster/pkg/job"
)

func random(chance *rand.ChaCha8) (b [IDSize + SecretSize]byte) {
	_, _ = chance.Read(b[:])
	return b
}

func TestParseFindsWhatIssueMade(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	for range 100 {
		b := random(chance)
		id, text, hash := Issue(&b)
		gotID, gotHash, err := Parse(text)
		if err != nil || gotID != id || !Same(gotHash, hash) {
			t.Fatalf("%s: got %s, %x, %v, want %s, %x", text, gotID, gotHash, err, id, hash)
		}
		if hash != sha256.Sum256(b[IDSize:]) {
			t.Fatal("the hash is not that of the secret alone")
		}
	}
}

func TestWhatIsNoTokenIsRefusedAndNotRepeated(t *testing.T) {
	b := random(rand.NewChaCha8([32]byte{7}))
	_, good, _ := Issue(&b)
	for name, text := range map[string]string{
		"nothing":      "",
		"another's":    "ghp_0123456789abcdefghijklmnopqrstuvwxyz",
		"no prefix":    strings.TrimPrefix(good, prefix),
		"no secret":    good[:len(prefix)+16],
		"short":        good[:len(good)-1],
		"long":         good + "a",
		"upper case":   strings.ToUpper(good),
		"digits":       good[:len(good)-2] + "01",
		"with a space": good + " ",
	} {
		_, _, err := Parse(text)
		if !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v, want %v", name, err, ErrMalformed)
		}
		if text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%s: the error has the text in it: %v", name, err)
		}
	}
}

func TestAnotherSecretIsNotTheSame(t *testing.T) {
	b := random(rand.NewChaCha8([32]byte{1}))
	_, _, hash := Issue(&b)
	b[len(b)-1] ^= 1
	_, _, other := Issue(&b)
	if Same(hash, other) || !Same(hash, hash) {
		t.Error("two secrets that differ in a bit are the same, or one is not itself")
	}
}

// TestDecide has all that follows from roles.
func TestDecide(t *testing.T) {
	reports := map[string]job.Role{"reports": job.Operator}
	all := map[string]job.Role{job.AllNamespaces: job.Viewer, "reports": job.Developer}
	for _, c := range []struct {
		roles     map[string]job.Role
		namespace string
		need      job.Role
		want      Decision
	}{
		{reports, "reports", job.Viewer, Allowed},
		{reports, "reports", job.Operator, Allowed},
		{reports, "reports", job.Developer, Forbidden},
		{reports, "reports", job.Admin, Forbidden},
		{reports, "billing", job.Viewer, Hidden},
		{reports, "billing", job.Admin, Hidden},
		{reports, job.AllNamespaces, job.Viewer, Forbidden},
		{all, "billing", job.Viewer, Allowed},
		{all, "billing", job.Operator, Forbidden},
		{all, "reports", job.Developer, Allowed},
		{all, job.AllNamespaces, job.Viewer, Allowed},
		{all, job.AllNamespaces, job.Admin, Forbidden},
		{map[string]job.Role{job.AllNamespaces: job.Admin}, "billing", job.Admin, Allowed},
		{map[string]job.Role{"reports": "king"}, "reports", job.Viewer, Hidden},
		{map[string]job.Role{"reports": job.Admin}, "reports", "king", Forbidden},
		{nil, "reports", job.Viewer, Hidden},
		{nil, "", "", Hidden},
	} {
		if got := Decide(c.roles, c.namespace, c.need); got != c.want {
			t.Errorf("%v who need %s in %q: got %v, want %v", c.roles, c.need, c.namespace, got, c.want)
		}
	}
}

func TestVisibleIsWhatAViewerMaySee(t *testing.T) {
	roles := map[string]job.Role{"reports": job.Viewer}
	if !Visible(roles, "reports") || Visible(roles, "billing") {
		t.Errorf("%v: got reports %v and billing %v, want true and false", roles, Visible(roles, "reports"), Visible(roles, "billing"))
	}
}

func FuzzParse(f *testing.F) {
	b := random(rand.NewChaCha8([32]byte{7}))
	_, good, _ := Issue(&b)
	f.Add(good)
	f.Add("muster__")
	f.Fuzz(func(t *testing.T, text string) {
		if id, _, err := Parse(text); err == nil && !strings.HasPrefix(text, prefix+id+"_") {
			t.Errorf("%q: got the ID %q", text, id)
		}
	})
}
