package httpapi

import "encoding/base64"

// A cursor is the place of the last that was shown, written so that nobody takes
// it for more than that.

func cursorOf(place string) string {
	if place == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString([]byte(place))
}

// placeOf returns what a cursor was made of.
func placeOf(cursor string) (string, error) {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return "", invalid("query.cursor", "want the next of the page before, or nothing", cursor)
	}
	return string(b), nil
}
