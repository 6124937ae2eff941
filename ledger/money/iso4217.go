package money

import "strings"

// isoCodes lists every active code of ISO 4217 that has a numeric minor unit, by
// that unit. Source: list one (table A.1, current currency and funds codes),
// which SIX Financial Information maintains for ISO: the publication of
// 2024-06-25 with the amendments up to number 180, effective 2026-01-01 (XCG
// for ANG, XAD new, CUC and BGN withdrawn). The publication of 2026-09-17 has
// as many codes: 178, of which these 165 have a minor unit.
//
// Left out, because their minor unit is "N.A.": XAU XAG XPD XPT (metals), XDR
// (special drawing right), XSU, XUA, XBA XBB XBC XBD (bond market units), XTS
// (testing) and XXX (no currency). A ledger that books them defines a currency
// of its own with a scale.
var isoCodes = map[uint8]string{
	0: `BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF`,
	2: `AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL
		BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK
		DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD
		HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR
		LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN
		NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR
		SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT
		TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER
		ZAR ZMW ZWG`,
	3: `BHD IQD JOD KWD LYD OMR TND`,
	4: `CLF UYW`,
}

// isoScales is isoCodes by code.
var isoScales = func() map[string]uint8 {
	scales := make(map[string]uint8)
	for scale, codes := range isoCodes {
		for _, code := range strings.Fields(codes) {
			scales[code] = scale
		}
	}
	return scales
}()
