select
    zone_id,
    annee,
    mois,
    cast(count(*) as {{ dbt.type_bigint() }}) as demandes,
    cast({{ count_where('est_payee') }} as {{ dbt.type_bigint() }}) as demandes_payees,
    {{ rounded('sum(montant)', 18, 2) }} as montant_demande,
    {{ rounded('sum(case when est_payee then montant else 0 end)', 18, 2) }} as montant_paye,
    max(exportee_le) as exportee_le
from {{ ref('fait_indemnisations') }}
group by zone_id, annee, mois
